#include "model/cron.h"

#include <random>
#include <set>

#include <date/tz.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::model {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

core::Timestamp at(std::string_view text) { return core::parse_time(text); }

/// The runs after a time, as "2026-03-29T01:00Z".
std::vector<std::string> runs(std::string_view cron, const std::string& zone, std::string_view after,
                              std::size_t count) {
  std::vector<std::string> texts;
  for (const auto time : Cron::parse(cron).next(at(after), TimeZone::find(zone), count)) {
    texts.push_back(core::format_time(time));
  }
  return texts;
}

std::string refusal(std::string_view cron) {
  try {
    static_cast<void>(Cron::parse(cron));
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
    return error.message();
  }
  return "";
}

using Texts = std::vector<std::string>;

TEST(CronTest, ReadsFieldsNamesAndNicknames) {
  const char* after = "2026-04-10T12:07:30Z";  // a Friday
  EXPECT_EQ(runs("0 2 * * *", "UTC", after, 2), (Texts{"2026-04-11T02:00:00Z", "2026-04-12T02:00:00Z"}));
  EXPECT_EQ(runs("*/15 * * * *", "UTC", after, 2), (Texts{"2026-04-10T12:15:00Z", "2026-04-10T12:30:00Z"}));
  EXPECT_EQ(runs("50/5 13 * * *", "UTC", after, 3),
            (Texts{"2026-04-10T13:50:00Z", "2026-04-10T13:55:00Z", "2026-04-11T13:50:00Z"}));
  EXPECT_EQ(runs("5,1-3 0 1 JAN,jul *", "UTC", after, 5),
            (Texts{"2026-07-01T00:01:00Z", "2026-07-01T00:02:00Z", "2026-07-01T00:03:00Z", "2026-07-01T00:05:00Z",
                   "2027-01-01T00:01:00Z"}));
  EXPECT_EQ(runs("0 0 * * 7", "UTC", after, 1), runs("0 0 * * sun", "UTC", after, 1));
  EXPECT_EQ(runs("0 0 * * 0", "UTC", after, 1), (Texts{"2026-04-12T00:00:00Z"}));
  EXPECT_EQ(runs("0 0 * * fri-sun", "UTC", after, 3),
            (Texts{"2026-04-11T00:00:00Z", "2026-04-12T00:00:00Z", "2026-04-17T00:00:00Z"}));
  EXPECT_EQ(runs("@hourly", "UTC", after, 1), (Texts{"2026-04-10T13:00:00Z"}));
  EXPECT_EQ(runs("@daily", "UTC", after, 1), (Texts{"2026-04-11T00:00:00Z"}));
  EXPECT_EQ(runs("@weekly", "UTC", after, 1), (Texts{"2026-04-12T00:00:00Z"}));
  EXPECT_EQ(runs(" @Monthly ", "UTC", after, 1), (Texts{"2026-05-01T00:00:00Z"}));
  EXPECT_EQ(runs("@yearly", "UTC", after, 1), (Texts{"2027-01-01T00:00:00Z"}));
  EXPECT_EQ(runs("7\t12 * * *", "UTC", "2026-04-10T12:07:00Z", 1), (Texts{"2026-04-11T12:07:00Z"})) << "later, not at";
}

TEST(CronTest, ADayMatchesEitherOfTwoRestrictedDayFields) {
  EXPECT_EQ(runs("0 0 13 * fri", "UTC", "2026-04-10T12:00:00Z", 3),
            (Texts{"2026-04-13T00:00:00Z", "2026-04-17T00:00:00Z", "2026-04-24T00:00:00Z"}));
  EXPECT_EQ(runs("0 0 */2 * mon", "UTC", "2026-04-10T12:00:00Z", 2),
            (Texts{"2026-04-13T00:00:00Z", "2026-04-27T00:00:00Z"}))
      << "a field that begins with * restricts nothing by itself";
}

TEST(CronTest, RareDaysAreFound) {
  EXPECT_EQ(runs("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), (Texts{"2104-02-29T00:00:00Z"}));
  EXPECT_EQ(runs("0 0 29 2 */6", "Europe/Berlin", "2026-03-01T00:00:00Z", 1), (Texts{"2032-02-28T23:00:00Z"}))
      << "a Sunday or a Saturday";
  EXPECT_EQ(runs("0 0 31 2 mon", "UTC", "2026-01-31T00:00:00Z", 1), (Texts{"2026-02-02T00:00:00Z"}));
}

TEST(CronTest, RefusesWhatIsNoExpression) {
  EXPECT_EQ(refusal(""), "'' has 0 fields and not five");
  EXPECT_EQ(refusal("* * * *"), "'* * * *' has 4 fields and not five");
  EXPECT_EQ(refusal("0 0 2 * * *"), "'0 0 2 * * *' has 6 fields and not five");
  EXPECT_EQ(refusal("60 * * * *"), "'60' is no minute of a cron expression: it takes 0 to 59");
  EXPECT_EQ(refusal("* 24 * * *"), "'24' is no hour of a cron expression: it takes 0 to 23");
  EXPECT_EQ(refusal("* * 0 * *"), "'0' is no day of month of a cron expression: it takes 1 to 31");
  EXPECT_EQ(refusal("* * * 13 *"), "'13' is no month of a cron expression: it takes 1 to 12");
  EXPECT_EQ(refusal("* * * * 8"), "'8' is no day of week of a cron expression: it takes 0 to 7");
  EXPECT_EQ(refusal("* * * * monday"), "'monday' is no day of week of a cron expression: it takes 0 to 7");
  EXPECT_EQ(refusal("*/0 * * * *"), "'0' is no minute of a cron expression: a step is a number from 1 to 59");
  EXPECT_EQ(refusal("5-1 * * * *"), "'5-1' is no minute of a cron expression: the range ends before it begins");
  EXPECT_EQ(refusal("@reboot"), "'@reboot' is no cron expression");
  EXPECT_EQ(refusal("0 0 31 2 *"), "'0 0 31 2 *' never comes");
  EXPECT_EQ(refusal("0 0 30,31 feb *"), "'0 0 30,31 feb *' never comes");
  EXPECT_EQ(refusal("0 0 31 4,6,9,11 *"), "'0 0 31 4,6,9,11 *' never comes");
  for (const auto* text : {"-1 * * * *", "1- * * * *", "1,,2 * * * *", "1, * * * *", "*5 * * * *", "1/ * * * *",
                           "+1 * * * *", "1.5 * * * *", "1-2-3 * * * *", "? * * * *", "1/2/3 * * * *", "0x1 * * * *"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
  EXPECT_NE(refusal(std::string(500, '1') + " * * * *"), "");
}

TEST(CronTest, RefusesAZoneThatIsNotThere) {
  for (const auto* name : {"", "Europe/Nowhere", "../UTC", "localtime", "+02:00", "europe/berlin"}) {
    EXPECT_THROW(TimeZone::find(name), core::Error) << name;
  }
}

TEST(CronTest, WhatFallsIntoSkippedTimeRunsOnceRightAfterIt) {
  // Berlin skips 02:00 to 03:00 on 29 March 2026 (01:00 UTC).
  EXPECT_EQ(runs("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            (Texts{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}));
  EXPECT_EQ(runs("*/10 2,3 29 3 *", "Europe/Berlin", "2026-03-28T00:00:00Z", 2),
            (Texts{"2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z"}))
      << "once, and the run of its own that comes then is the same";
  EXPECT_EQ(runs("0 */2 * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 2),
            (Texts{"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}));
  EXPECT_EQ(runs("0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", 1), (Texts{"2011-12-30T10:00:00Z"}))
      << "a day that the calendar lost";
}

TEST(CronTest, WhatFallsIntoRepeatedTimeRunsTheFirstTimeOnly) {
  // Berlin has 02:00 to 03:00 twice on 25 October 2026 (00:00 and 01:00 UTC).
  EXPECT_EQ(runs("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            (Texts{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}));
  EXPECT_EQ(runs("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1), (Texts{"2026-10-26T01:30:00Z"}));
}

TEST(CronTest, EveryHourMeansEveryRealHour) {
  EXPECT_EQ(runs("30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 3),
            (Texts{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}));
  EXPECT_EQ(runs("30 0-23 * * *", "Europe/Berlin", "2026-03-28T23:45:00Z", 3),
            (Texts{"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"}));
}

/// An expression with what its fields mean, made side by side.
struct Expression {
  std::string text;
  std::set<int> minutes, hours, days, months, weekdays;
  bool either_day = false;

  [[nodiscard]] bool matches(date::local_time<std::chrono::minutes> time) const {
    const auto day = date::floor<date::days>(time);
    const date::year_month_day date(day);
    const int of_day = static_cast<int>((time - day).count());
    const bool in_month = days.contains(static_cast<int>(unsigned(date.day())));
    const bool in_week = weekdays.contains(static_cast<int>(date::weekday(day).c_encoding()));
    return minutes.contains(of_day % 60) && hours.contains(of_day / 60) &&
           months.contains(static_cast<int>(unsigned(date.month()))) &&
           (either_day ? in_month || in_week : in_month && in_week);
  }
};

class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  Expression write() {
    Expression made;
    const auto minute = field(0, 59, 4, made.minutes);
    const auto hour = field(0, 23, 3, made.hours);
    const auto day = field(1, 31, 1, made.days);
    const auto month = field(1, 12, 1, made.months);
    const auto weekday = field(0, 6, 1, made.weekdays);
    made.either_day = day.front() != '*' && weekday.front() != '*';
    made.text = fmt::format("{} {} {} {} {}", minute, hour, day, month, weekday);
    return made;
  }
  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }

 private:
  /// `restricted` in five it is not just *.
  std::string field(int first, int last, int restricted, std::set<int>& means) {
    std::vector<std::string> items(static_cast<std::size_t>(below(5) < restricted ? 1 + below(3) : 0));
    if (items.empty()) {
      for (int value = first; value <= last; ++value) means.insert(value);
      return "*";
    }
    for (auto& item : items) item = this->item(first, last, means);
    return fmt::format("{}", fmt::join(items, ","));
  }
  std::string item(int first, int last, std::set<int>& means) {
    const int from = first + below(last - first + 1);
    const int to = from + below(last - from + 1);
    const int step = 1 + below(last / 2);
    const auto add = [&](int begin, int end, int by) {
      for (int value = begin; value <= end; value += by) means.insert(value);
    };
    switch (below(4)) {
      case 0: add(from, from, 1); return std::to_string(from);
      case 1: add(from, to, 1); return fmt::format("{}-{}", from, to);
      case 2: add(from, to, step); return fmt::format("{}-{}/{}", from, to, step);
      default: add(first, last, step); return fmt::format("*/{}", step);
    }
  }
  std::mt19937 random_;
};

/// Goes through real time minute by minute and looks at the clock on the wall: nothing is calculated.
std::vector<core::Timestamp> walk(const Expression& cron, const date::time_zone& zone, core::Timestamp after,
                                  core::Timestamp until) {
  std::vector<core::Timestamp> found;
  const bool by_real_time = cron.hours.size() == 24;
  // It has to have seen what may be repeated.
  auto now = std::chrono::floor<minutes>(after) - hours(30);
  date::sys_info info;
  const auto wall = [&] {
    if (now >= info.end) info = zone.get_info(date::floor<std::chrono::seconds>(now));
    return date::local_time<minutes>(now.time_since_epoch() + date::floor<minutes>(info.offset));
  };
  auto latest = wall();
  for (now += minutes(1); now <= until; now += minutes(1)) {
    const auto time = wall();
    bool runs = by_real_time && cron.matches(time);
    while (!by_real_time && latest < time) runs = cron.matches(latest += minutes(1)) || runs;
    latest = std::max(latest, time);
    if (runs && now > after) found.emplace_back(now);
  }
  return found;
}

TEST(CronTest, AgreesWithWhoeverWatchesTheClock) {
  constexpr std::string_view kZones[] = {"UTC",
                                         "Europe/Berlin",
                                         "America/New_York",
                                         "Australia/Lord_Howe",
                                         "Asia/Kathmandu",
                                         "America/Sao_Paulo",
                                         "Africa/Casablanca",
                                         "Pacific/Apia",
                                         "America/St_Johns"};
  Writer writer(20260410);
  std::size_t compared = 0;
  for (int run = 0; run < 150; ++run) {
    const auto cron = writer.write();
    const auto& name = kZones[static_cast<std::size_t>(writer.below(std::size(kZones)))];
    const auto* zone = date::locate_zone(name);
    // Every other one begins a little before clocks change, where they do.
    core::Timestamp after = at("2007-01-01T00:00:00Z") + hours(writer.below(24 * 365 * 28)) + minutes(writer.below(60));
    const auto change = zone->get_info(date::floor<std::chrono::seconds>(after)).end;
    if (run % 2 == 0 && change < at("2036-01-01T00:00:00Z"))
      after = core::Timestamp(change) - minutes(writer.below(2000));
    const auto until = after + hours(54);
    const auto expected = walk(cron, *zone, after, until);
    if (refusal(cron.text).ends_with("never comes")) {
      EXPECT_TRUE(expected.empty()) << cron.text;
      continue;
    }
    const auto parsed = Cron::parse(cron.text);
    const auto in_zone = TimeZone::find(std::string(name));
    auto time = after;
    for (const auto wanted : expected) {
      time = parsed.next(time, in_zone);
      ASSERT_EQ(core::format_time(time), core::format_time(wanted))
          << cron.text << " in " << name << " after " << core::format_time(after);
    }
    EXPECT_GT(parsed.next(time, in_zone), until)
        << cron.text << " in " << name << " after " << core::format_time(after);
    compared += expected.size();
  }
  EXPECT_GT(compared, 500u);
}

}  // namespace
}  // namespace backstay::model
