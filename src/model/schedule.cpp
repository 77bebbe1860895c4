#include "model/schedule.h"

#include <algorithm>

namespace backstay::model {

core::Timestamp next_run(std::int64_t interval_h, core::Duration offset, const LastRun& last,
                         core::Timestamp enabled_at) {
  if (!last.begun || *last.begun < enabled_at) return enabled_at;
  const core::Duration interval = std::chrono::hours(interval_h);
  if (last.failed) return *last.begun + std::min<core::Duration>(interval, kRetryAfter);
  const core::Duration ahead = interval - (last.begun->time_since_epoch() - offset) % interval;
  // Too soon for one more, too late to wait for the one after: half way between, from where the next is at its time.
  return *last.begun + (ahead < interval / 4 ? ahead + interval / 2 : ahead);
}

core::Duration spread(std::string_view id, core::Duration period) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  hash ^= hash >> 32U;
  return core::Duration(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(period.count())));
}

}  // namespace backstay::model
