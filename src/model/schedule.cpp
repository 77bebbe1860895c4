#include "model/schedule.h"

#include <algorithm>

namespace backstay::model {

core::Timestamp next_run(std::int64_t interval_h, std::optional<core::Timestamp> last_scheduled,
                         core::Timestamp enabled_at) {
  if (!last_scheduled || *last_scheduled < enabled_at) return enabled_at;
  return *last_scheduled + std::chrono::hours(interval_h);
}

}  // namespace backstay::model
