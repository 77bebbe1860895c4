// Cron expressions: when something is to run, in the local time of a zone.
//
// Five fields: minute, hour, day of month, month, day of week; each a list of values, ranges (a-b), steps (*/n, a-b/n,
// a/n for "from a on") and *. Months and days of the week may be named by three letters, Sunday is 0 and 7. If both day
// fields are restricted (do not begin with *), a day that matches either one matches. @hourly, @daily (@midnight),
// @weekly, @monthly and @yearly (@annually) stand for what they say.
//
// Where clocks change:
//  - an expression whose hour field means every hour runs by real time: at each minute that a clock on the wall shows
//    and that matches, so also twice where an hour is repeated, and not for an hour that does not exist
//  - any other expression means times of the day: what falls into skipped time runs once, right after it; what falls
//    into repeated time runs the first time only
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "model/time_zone.h"

namespace backstay::model {

class Cron {
 public:
  /// Throws Error(invalid_argument) that quotes what is wrong, also for an expression that matches no day at all.
  static Cron parse(std::string_view expression);

  /// The first run later than `after`.
  [[nodiscard]] core::Timestamp next(core::Timestamp after, const TimeZone& zone) const;
  [[nodiscard]] std::vector<core::Timestamp> next(core::Timestamp after, const TimeZone& zone, std::size_t count) const;

 private:
  /// A time on the wall: what clocks show, counted as if it were UTC.
  using Local = std::chrono::sys_time<std::chrono::minutes>;
  [[nodiscard]] bool matches(std::chrono::sys_days day) const;
  /// The first minute that matches in [from, to).
  [[nodiscard]] std::optional<Local> first_match(Local from, Local to) const;
  [[nodiscard]] std::optional<core::Timestamp> first_in(const TimeZone::Span& span, core::Timestamp from,
                                                        const TimeZone& zone) const;
  void require_any_day(std::string_view expression) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool either_day_ = false;
};

}  // namespace backstay::model
