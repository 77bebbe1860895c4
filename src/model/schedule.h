// When a scheduled backup is due.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/time.h"

namespace backstay::model {

/// The last scheduled run; manual ones do not count.
struct LastRun {
  /// Nothing if there was none.
  std::optional<core::Timestamp> begun{};
  bool failed = false;
};

/// How long after a failed run the next one is tried, at most.
inline constexpr auto kRetryAfter = std::chrono::hours(1);

/// When the next run is due: at `enabled_at` if there was none since, else at the service's own time of the interval,
/// which `offset` says: the last run and the next are at most one interval apart, and at least a quarter of one. Sooner
/// if the last run failed: a service must not be without a backup for a month because its store was away for an hour. A
/// time in the past means now; runs that were missed are caught up by one, because the next is counted from that one.
core::Timestamp next_run(std::int64_t interval_h, core::Duration offset, const LastRun& last,
                         core::Timestamp enabled_at);

/// A part of the period that is always the same for an id and differs between ids, so that what comes once a period
/// does not come for all at the same moment.
core::Duration spread(std::string_view id, core::Duration period);

}  // namespace backstay::model
