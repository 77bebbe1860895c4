// The composition root: every part of the server, made in the order of their needs and wired together.
#pragma once

#include <memory>
#include <string>

#include "app/configuration.h"

namespace backstay::app {

class ServerAssembly {
 public:
  /// Takes the state directory, opens the state, binds the address; serves nothing yet.
  ServerAssembly(const Configuration& configuration, const Environment& environment);
  /// Stops.
  ~ServerAssembly();

  /// Starts the engine and the API, then writes endpoint.json.
  void start();
  /// Takes no more requests, lets running ones end, stops the engine. Services keep running. May be called twice.
  void stop();

  /// Where the API is reached.
  [[nodiscard]] std::string url() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace backstay::app
