#include "model/schedule.h"

#include <algorithm>

namespace backstay::model {

core::Timestamp next_run(std::int64_t interval_h, const LastRun& last, core::Timestamp enabled_at) {
  if (!last.begun || *last.begun < enabled_at) return enabled_at;
  const std::chrono::hours interval(interval_h);
  return *last.begun + (last.failed ? std::min(interval, kRetryAfter) : interval);
}

core::Duration spread(std::string_view id, core::Duration period) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  hash ^= hash >> 32U;
  return core::Duration(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(period.count())));
}

}  // namespace backstay::model
