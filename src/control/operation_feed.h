// Tells listeners in this process that an operation changed, for event streams. Nothing durable: a listener that comes
// late or misses a change reads the operation itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <stop_token>
#include <string>

#include "core/mutex.h"
#include "core/time.h"

namespace backstay::control {

/// Thread-safe.
class OperationFeed {
 public:
  static constexpr std::size_t kMostRemembered = 1000;

  /// The operation was changed in the store.
  void notify(const std::string& operation_id);
  /// A number that grows with every change of the operation. Remember it before reading the operation.
  [[nodiscard]] std::uint64_t version(const std::string& operation_id) const;
  /// Waits until the operation's version differs from `seen`, `stop` is requested, or `at_most` of real time passed;
  /// returns the version then. It may differ although nothing changed: read the operation to know.
  std::uint64_t wait(const std::string& operation_id, std::uint64_t seen, std::stop_token stop,
                     core::Duration at_most) const;

 private:
  [[nodiscard]] std::uint64_t known(const std::string& operation_id) const REQUIRES(mutex_);

  mutable core::Mutex mutex_;
  mutable core::Condition changed_;
  /// Of the operations that changed last; all others have the version that was the newest when they were forgotten.
  std::map<std::string, std::uint64_t> versions_ GUARDED_BY(mutex_);
  std::uint64_t forgotten_ GUARDED_BY(mutex_) = 0;
  std::uint64_t next_ GUARDED_BY(mutex_) = 1;
};

}  // namespace backstay::control
