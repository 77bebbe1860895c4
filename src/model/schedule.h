// When a scheduled backup is due.
#pragma once

#include <cstdint>
#include <optional>

#include "core/time.h"

namespace backstay::model {

/// When the next run is due: at `enabled_at` if there was none since, else one interval after the last one. A time in
/// the past means now; runs that were missed are caught up by one, because the next is counted from that one.
/// `last_scheduled` is when the last scheduled run was begun; manual runs do not count.
core::Timestamp next_run(std::int64_t interval_h, std::optional<core::Timestamp> last_scheduled,
                         core::Timestamp enabled_at);

}  // namespace backstay::model
