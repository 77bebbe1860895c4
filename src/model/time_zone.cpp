#include "model/time_zone.h"

#include <algorithm>

#include <date/tz.h>
#include <fmt/format.h>

#include "core/error.h"

namespace backstay::model {
namespace {

// The zone of the machine, and a file that is no zone.
constexpr std::string_view kNoZones[] = {"localtime", "posixrules"};

// What the library gives for the ends of time does not fit into microseconds.
constexpr auto kFirst = date::sys_days(date::year(1900) / 1 / 1);
constexpr auto kLast = date::sys_days(date::year(9000) / 1 / 1);

core::Timestamp within(date::sys_seconds time) {
  return std::clamp<date::sys_seconds>(time, date::sys_seconds(kFirst), date::sys_seconds(kLast));
}

const date::time_zone* locate(const std::string& name) {
  try {
    return date::locate_zone(name);
  } catch (const std::runtime_error&) {
    return nullptr;  // The library's way to say that there is none.
  }
}

}  // namespace

TimeZone TimeZone::find(const std::string& name) {
  const bool is_name = std::ranges::find(kNoZones, name) == std::end(kNoZones);
  if (const auto* zone = is_name ? locate(name) : nullptr) return TimeZone(zone);
  throw core::Error(core::Code::kInvalidArgument, fmt::format("there is no time zone '{}'", name))
      .with_hint("name one of the IANA database, such as 'Europe/Berlin' or 'UTC'");
}

TimeZone::Span TimeZone::span_at(core::Timestamp time) const {
  const auto info = static_cast<const date::time_zone*>(zone_)->get_info(date::floor<std::chrono::seconds>(time));
  return {.begin = within(info.begin), .end = within(info.end), .offset = info.offset};
}

}  // namespace backstay::model
