// Who sends messages to others; implemented by notify.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "core/secret.h"

namespace backstay::control {

struct Message {
  std::string url;
  core::Secret secret;
  /// The same in every attempt.
  std::string id;
  std::string body;
};

struct Receipt {
  /// Of the answer; 0 if there was none.
  std::int64_t status = 0;
  /// Why it was not taken; empty if it was.
  std::string error{};
};

/// Thread-safe.
class Notifier {
 public:
  virtual ~Notifier() = default;
  /// Throws Error(invalid_argument) for what is no address of a webhook, Error(egress_refused) for one that can be seen
  /// to be refused; a name is looked up when something is sent.
  virtual void check(const std::string& url) = 0;
  /// Signs and sends it, once, within seconds.
  virtual Receipt send(const Message& message, const std::stop_token& stop) = 0;
};

}  // namespace backstay::control
