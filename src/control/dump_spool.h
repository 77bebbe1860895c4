// Where dumps lie that were sent or fetched for an import, until it has ended. Declared here, implemented in
// providers/.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "model/destination.h"

namespace backstay::control {

/// One dump on its way in; gone again with this object unless it was kept. One thread at a time.
class SpoolFile {
 public:
  virtual ~SpoolFile() = default;
  /// Throws Error(body_too_large) beyond the spool's limit, Error(disk_full) where the disk has no room.
  virtual void write(std::string_view bytes) = 0;
  /// Makes it durable under this name.
  virtual void keep(const std::string& name) = 0;
};

struct SpooledDump {
  std::string name;
  core::Timestamp written_at;
};

/// Thread-safe.
class DumpSpool {
 public:
  virtual ~DumpSpool() = default;

  /// `expected`: how long it will be, if that is known. Throws Error(body_too_large) if it may not be so long,
  /// Error(disk_full) if there is no room for it.
  virtual std::unique_ptr<SpoolFile> open(std::optional<std::uint64_t> expected) = 0;
  [[nodiscard]] virtual bool contains(const std::string& name) const = 0;
  /// Missing is fine.
  virtual void remove(const std::string& name) = 0;
  [[nodiscard]] virtual std::vector<SpooledDump> list() const = 0;

  /// Throws Error(path_not_allowed) for what does not lie below a root that the operator allowed, without a symbolic
  /// link on the way, and Error(not_found) if nothing is there.
  virtual void check_path(const std::string& path) const = 0;
  /// Throws Error(invalid_argument) for what is no http or https URL.
  virtual void check_url(const std::string& url) const = 0;
  /// Reads it under the egress policy; redirects are not followed. `progress` is told what is there and, if known, what
  /// will be. Throws Error(import_refused) for another answer than 200, and what the client throws.
  virtual void fetch(const std::string& url, SpoolFile& into,
                     const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                     std::stop_token stop) = 0;
  /// The same from an object that lies below the destination's prefix. Throws Error(import_refused) if there is none,
  /// and what the store throws.
  virtual void fetch_object(const model::Destination& at, const std::string& key, SpoolFile& into,
                            const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                            std::stop_token stop) = 0;
};

}  // namespace backstay::control
