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

/// True if all of the gap can be reached in the window.
bool covers(const RecoveryWindow& window, const RecoveryGap& gap) {
  return is_open(window) && *window.earliest <= gap.from && gap.to <= *window.latest &&
         std::ranges::none_of(window.gaps,
                              [&](const RecoveryGap& other) { return other.from < gap.to && gap.from < other.to; });
}

}  // namespace

RecoveryWindow union_of(std::vector<RecoveryWindow> windows) {
  std::erase_if(windows, [](const auto& window) { return !is_open(window); });
  std::ranges::sort(windows, {}, [](const auto& window) { return *window.earliest; });
  RecoveryWindow all;
  for (const auto& window : windows) {
    if (!all.earliest) all.earliest = window.earliest;
    if (all.latest && *all.latest < *window.earliest) {
      all.gaps.push_back(
          {*all.latest, *window.earliest, "between two instances of the service: none was archived then"});
    }
    all.latest = std::max(all.latest.value_or(*window.latest), *window.latest);
    for (const auto& gap : window.gaps) {
      if (std::ranges::none_of(windows, [&](const auto& other) { return covers(other, gap); })) all.gaps.push_back(gap);
    }
  }
  std::ranges::sort(all.gaps, {}, &RecoveryGap::from);
  return all;
}

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
