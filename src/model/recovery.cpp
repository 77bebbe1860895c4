#include "model/recovery.h"

#include <algorithm>

namespace backstay::model {
namespace {

/// The gap that holds the time; its ends are reachable.
const RecoveryGap* gap_at(const RecoveryWindow& window, core::Timestamp time) {
  const auto found =
      std::ranges::find_if(window.gaps, [time](const RecoveryGap& gap) { return gap.from < time && time < gap.to; });
  return found == window.gaps.end() ? nullptr : &*found;
}

bool is_open(const RecoveryWindow& window) { return window.earliest && window.latest; }

}  // namespace

bool can_reach(const RecoveryWindow& window, core::Timestamp time) {
  return is_open(window) && *window.earliest <= time && time <= *window.latest && gap_at(window, time) == nullptr;
}

NearestTimes nearest_reachable(const RecoveryWindow& window, core::Timestamp time) {
  if (!is_open(window)) return {};
  if (time < *window.earliest) return {.before = std::nullopt, .after = window.earliest};
  if (time > *window.latest) return {.before = window.latest, .after = std::nullopt};
  const RecoveryGap* gap = gap_at(window, time);
  if (gap == nullptr) return {.before = time, .after = time};
  return {.before = gap->from, .after = gap->to};
}

}  // namespace backstay::model
