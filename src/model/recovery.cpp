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

/// Times from the one to the other, both reachable.
struct Reach {
  core::Timestamp from{};
  core::Timestamp to{};
};

/// What lies between the window's gaps.
void add_reaches(const RecoveryWindow& window, std::vector<Reach>& reaches) {
  auto from = *window.earliest;
  auto gaps = window.gaps;
  std::ranges::sort(gaps, {}, &RecoveryGap::from);
  for (const auto& gap : gaps) {
    if (from <= gap.from) reaches.push_back({from, std::min(gap.from, *window.latest)});
    from = std::max(from, gap.to);
  }
  if (from <= *window.latest) reaches.push_back({from, *window.latest});
}

/// Why nothing reaches the times between the two: what a window says of them, or that there is none.
std::string reason_between(const std::vector<RecoveryWindow>& windows, core::Timestamp from, core::Timestamp to) {
  for (const auto& window : windows) {
    for (const auto& gap : window.gaps) {
      if (gap.from < to && from < gap.to) return gap.reason;
    }
  }
  return "between two instances of the service: none was archived then";
}

/// What a window says of the times before and after all that is reached: why it begins and ends where it does.
void add_outer_gaps(const std::vector<RecoveryWindow>& windows, RecoveryWindow& all) {
  if (!is_open(all)) return;
  for (const auto& window : windows) {
    for (const auto& gap : window.gaps) {
      if (gap.to <= *all.earliest || *all.latest <= gap.from) all.gaps.push_back(gap);
    }
  }
  std::ranges::sort(all.gaps, {}, &RecoveryGap::from);
}

}  // namespace

RecoveryWindow union_of(std::vector<RecoveryWindow> windows) {
  std::erase_if(windows, [](const auto& window) { return !is_open(window); });
  std::vector<Reach> reaches;
  for (const auto& window : windows) add_reaches(window, reaches);
  std::ranges::sort(reaches, {}, &Reach::from);
  RecoveryWindow all;
  for (const auto& reach : reaches) {
    if (!all.earliest) all.earliest = reach.from;
    if (all.latest && *all.latest < reach.from) {
      all.gaps.push_back({*all.latest, reach.from, reason_between(windows, *all.latest, reach.from)});
    }
    all.latest = std::max(all.latest.value_or(reach.to), reach.to);
  }
  add_outer_gaps(windows, all);
  return all;
}

bool can_reach(const RecoveryWindow& window, core::Timestamp time) {
  return is_open(window) && *window.earliest <= time && time <= *window.latest && gap_at(window, time) == nullptr;
}

RecoveryWindow window_of_states(std::vector<core::Timestamp> states, std::string_view reason) {
  std::ranges::sort(states);
  RecoveryWindow window;
  for (const auto state : states) {
    if (!window.earliest) window.earliest = state;
    if (window.latest && *window.latest < state) window.gaps.push_back({*window.latest, state, std::string(reason)});
    window.latest = state;
  }
  return window;
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
