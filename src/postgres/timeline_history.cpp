#include "postgres/timeline_history.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

TimelineSwitch parse_line(std::string_view line) {
  const auto first_tab = line.find_first_of(" \t");
  const auto timeline = core::parse_int(line.substr(0, first_tab));
  if (first_tab == std::string_view::npos || !timeline || *timeline < 1 || *timeline > UINT32_MAX) {
    throw core::Error(core::Code::kCorruptData, fmt::format("'{}' is not a line of a timeline history", line));
  }
  const auto rest = core::trim(line.substr(first_tab));
  const auto lsn_end = rest.find_first_of(" \t");
  TimelineSwitch result{{static_cast<std::uint32_t>(*timeline)}, {}, {}};
  try {
    result.end = parse_lsn(rest.substr(0, lsn_end));
  } catch (const core::Error& e) {
    throw core::Error(core::Code::kCorruptData, e.message()).add_context("timeline history");
  }
  if (lsn_end != std::string_view::npos) result.reason = core::trim(rest.substr(lsn_end));
  return result;
}

}  // namespace

std::vector<TimelineSwitch> parse_timeline_history(std::string_view text) {
  std::vector<TimelineSwitch> result;
  for (const auto& raw : core::split(text, '\n')) {
    const auto line = core::trim(raw);
    if (line.empty() || line.starts_with('#')) continue;
    result.push_back(parse_line(line));
  }
  return result;
}

TimelineId timeline_at(const std::vector<TimelineSwitch>& history, TimelineId branch, Lsn lsn) {
  for (const auto& ancestor : history) {
    if (lsn < ancestor.end) return ancestor.timeline;
  }
  return branch;
}

}  // namespace backstay::postgres
