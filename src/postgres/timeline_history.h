// The history file of a timeline: which branches it descends from and where it left them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "postgres/lsn.h"

namespace backstay::postgres {

/// One line: `timeline` was followed up to, not including, `end`.
struct TimelineSwitch {
  TimelineId timeline;
  Lsn end;
  std::string reason;
};

/// The ancestors, oldest first. Throws Error(corrupt_data) that quotes the line.
std::vector<TimelineSwitch> parse_timeline_history(std::string_view text);

/// The timeline that a branch with these ancestors follows at `lsn`.
TimelineId timeline_at(const std::vector<TimelineSwitch>& history, TimelineId branch, Lsn lsn);

}  // namespace backstay::postgres
