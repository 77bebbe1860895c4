// Removes what nobody will ask for any more: old events, old entries of the audit log, operations that ended long ago,
// and sessions and access tokens that have ended.
#pragma once

#include <optional>

#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// For one thread.
class Housekeeping {
 public:
  /// The database and the clock outlive it. `keep`: how long an event, and an operation after its end, stays.
  Housekeeping(metadata::Database& database, core::Clock& clock, core::Duration keep)
      : database_(database), clock_(clock), keep_(keep) {}
  /// Does it once an hour; call it more often.
  void tick();

 private:
  metadata::Database& database_;
  core::Clock& clock_;
  core::Duration keep_;
  std::optional<core::SteadyTime> done_at_;
};

}  // namespace backstay::control
