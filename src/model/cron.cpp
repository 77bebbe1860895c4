#include "model/cron.h"

#include <array>
#include <span>
#include <string>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::model {
namespace {

using std::chrono::days;
using std::chrono::minutes;
using std::chrono::sys_days;

/// Calendars repeat after so many days.
constexpr days kCycle{146097};
constexpr std::size_t kLongest = 200;

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Nickname {
  std::string_view name;
  std::string_view meaning;
};
constexpr Nickname kNicknames[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                                   {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                                   {"@annually", "0 0 1 1 *"}};

struct Field {
  std::string_view name;
  std::int64_t first;
  std::int64_t last;
  /// The names of its values, from `first` on.
  std::span<const std::string_view> names = {};
};
constexpr Field kFields[] = {{"minute", 0, 59},
                             {"hour", 0, 23},
                             {"day of month", 1, 31},
                             {"month", 1, 12, kMonths},
                             {"day of week", 0, 7, kWeekdays}};

[[noreturn]] void refuse(const Field& field, std::string_view text, std::string_view why) {
  throw core::Error(core::Code::kInvalidArgument,
                    fmt::format("'{}' is no {} of a cron expression: {}", text, field.name, why));
}

std::int64_t parse_value(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    if (core::to_lower(text) == field.names[i]) return field.first + static_cast<std::int64_t>(i);
  }
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  const auto value = digits ? core::parse_int(text) : std::nullopt;
  if (!value || *value < field.first || *value > field.last) {
    refuse(field, text, fmt::format("it takes {} to {}", field.first, field.last));
  }
  return *value;
}

std::int64_t parse_step(const Field& field, std::string_view text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  const auto step = digits ? core::parse_int(text) : std::nullopt;
  if (!step || *step < 1 || *step > field.last) {
    refuse(field, text, fmt::format("a step is a number from 1 to {}", field.last));
  }
  return *step;
}

/// One item of a list: *, a, a-b, each with /n or without.
template <typename Bits>
void add_item(const Field& field, std::string_view item, Bits& bits) {
  const auto slash = item.find('/');
  const auto range = item.substr(0, slash);
  const auto dash = range.find('-');
  auto first = field.first;
  auto last = field.last;
  if (range != "*") {
    first = parse_value(field, range.substr(0, dash));
    if (dash != std::string_view::npos) {
      last = parse_value(field, range.substr(dash + 1));
    } else if (slash == std::string_view::npos) {
      last = first;
    }
  }
  // "fri-sun": the name of Sunday is 0, and 7 where a range ends with it.
  if (!field.names.empty() && field.first == 0 && last == 0 && first > 0) last = 7;
  if (last < first) refuse(field, range, "the range ends before it begins");
  const auto step = slash == std::string_view::npos ? 1 : parse_step(field, item.substr(slash + 1));
  for (auto value = first; value <= last; value += step) bits.set(static_cast<std::size_t>(value));
}

template <typename Bits>
void parse_field(const Field& field, std::string_view text, Bits& bits) {
  for (;;) {
    const auto comma = text.find(',');
    add_item(field, text.substr(0, comma), bits);
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kSpaces = " \t";
  for (auto begin = text.find_first_not_of(kSpaces); begin != std::string_view::npos;) {
    const auto end = std::min(text.find_first_of(kSpaces, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpaces, end);
  }
  return words;
}

std::string_view written_out(std::string_view expression) {
  if (expression.empty() || expression.front() != '@') return expression;
  for (const auto& nickname : kNicknames) {
    if (core::to_lower(expression) == nickname.name) return nickname.meaning;
  }
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is no cron expression", expression))
      .with_hint("there are @hourly, @daily, @weekly, @monthly and @yearly");
}

core::Timestamp up_to_minute(core::Timestamp time) { return std::chrono::ceil<minutes>(time); }

}  // namespace

Cron Cron::parse(std::string_view expression) {
  if (expression.size() > kLongest) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("a cron expression has at most {} characters", kLongest));
  }
  const auto fields = split(written_out(core::trim(expression)));
  if (fields.size() != std::size(kFields)) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("'{}' has {} fields and not five", expression, fields.size()))
        .with_hint("minute, hour, day of month, month, day of week: '0 2 * * *' is 02:00 of each day");
  }
  Cron cron;
  std::bitset<8> weekdays;
  parse_field(kFields[0], fields[0], cron.minutes_);
  parse_field(kFields[1], fields[1], cron.hours_);
  parse_field(kFields[2], fields[2], cron.days_);
  parse_field(kFields[3], fields[3], cron.months_);
  parse_field(kFields[4], fields[4], weekdays);
  for (std::size_t i = 0; i < weekdays.size(); ++i) {
    if (weekdays[i]) cron.weekdays_.set(i % 7);
  }
  cron.either_day_ = !fields[2].starts_with('*') && !fields[4].starts_with('*');
  cron.require_any_day(expression);
  return cron;
}

void Cron::require_any_day(std::string_view expression) const {
  constexpr sys_days kBegin{std::chrono::year(2000) / 1 / 1};
  if (first_match(kBegin, kBegin + kCycle)) return;
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' never comes", expression))
      .with_hint("no year has such a day");
}

bool Cron::matches(sys_days day) const {
  const bool of_month = days_[unsigned(std::chrono::year_month_day(day).day())];
  const bool of_week = weekdays_[std::chrono::weekday(day).c_encoding()];
  return either_day_ ? of_month || of_week : of_month && of_week;
}

std::optional<Cron::Local> Cron::first_match(Local from, Local to) const {
  for (auto day = std::chrono::floor<days>(from); day < to;) {
    const std::chrono::year_month_day date(day);
    if (!months_[unsigned(date.month())]) {
      day = sys_days((date.year() / date.month() + std::chrono::months(1)) / 1);
      continue;
    }
    if (matches(day)) {
      for (auto time = std::max<Local>(day, from); time < std::min<Local>(day + days(1), to);) {
        const auto minute = static_cast<std::size_t>((time - day).count());
        if (!hours_[minute / 60]) {
          time += minutes(60 - minute % 60);
        } else if (!minutes_[minute % 60]) {
          time += minutes(1);
        } else {
          return time;
        }
      }
    }
    day += days(1);
  }
  return std::nullopt;
}

std::optional<core::Timestamp> Cron::first_in(const TimeZone::Span& span, core::Timestamp from,
                                              const TimeZone& zone) const {
  const auto on_wall = [&](core::Timestamp time) { return std::chrono::ceil<minutes>(time + span.offset); };
  auto first = on_wall(from);
  if (!hours_.all()) {
    const auto turned = span.offset - zone.span_at(span.begin - std::chrono::seconds(1)).offset;
    const auto begin = on_wall(span.begin);
    if (turned.count() < 0) first = std::max(first, begin - std::chrono::ceil<minutes>(turned));
    const bool from_begin = from <= up_to_minute(span.begin);
    if (turned.count() > 0 && from_begin && first_match(begin - std::chrono::floor<minutes>(turned), begin)) {
      return up_to_minute(span.begin);
    }
  }
  const auto found = first_match(first, std::chrono::ceil<minutes>(span.end + span.offset));
  return found ? std::optional<core::Timestamp>(*found - span.offset) : std::nullopt;
}

core::Timestamp Cron::next(core::Timestamp after, const TimeZone& zone) const {
  auto from = std::chrono::floor<minutes>(after) + minutes(1);
  for (core::Timestamp at = from;;) {
    const auto span = zone.span_at(at);
    if (const auto found = first_in(span, at, zone)) return *found;
    at = span.end;
  }
}

std::vector<core::Timestamp> Cron::next(core::Timestamp after, const TimeZone& zone, std::size_t count) const {
  std::vector<core::Timestamp> times;
  while (times.size() < count) {
    after = next(after, zone);
    times.push_back(after);
  }
  return times;
}

}  // namespace backstay::model
