// The archives of running instances that cannot be opened now: since when, why, and how much WAL their servers keep.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "control/provider.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/time.h"

namespace backstay::providers {

/// Thread-safe.
class AwayArchives {
 public:
  explicit AwayArchives(core::Clock& clock) : clock_(clock) {}
  /// The archive could not be opened; `kept` is what the server keeps for it.
  void note(const std::string& instance_id, const core::Error& error, std::uint64_t kept);
  /// It is open, or nobody wants it any more.
  void forget(const std::string& instance_id);
  /// Nothing for an archive that is not away. The time counts from the first failure that this process saw.
  [[nodiscard]] std::optional<control::AtRisk> at_risk(const std::string& instance_id) const;

 private:
  struct Away {
    core::SteadyTime since;
    std::string error;
    std::uint64_t kept = 0;
  };
  core::Clock& clock_;
  mutable core::Mutex mutex_;
  std::map<std::string, Away> away_ GUARDED_BY(mutex_);
};

}  // namespace backstay::providers
