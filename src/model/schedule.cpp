#include "model/schedule.h"

#include <algorithm>

namespace backstay::model {

core::Timestamp next_run(std::int64_t interval_h, const LastRun& last, core::Timestamp enabled_at) {
  if (!last.begun || *last.begun < enabled_at) return enabled_at;
  const std::chrono::hours interval(interval_h);
  return *last.begun + (last.failed ? std::min(interval, kRetryAfter) : interval);
}

}  // namespace backstay::model
