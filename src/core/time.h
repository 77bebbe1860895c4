// Time: the Clock interface that everything reads time through, and RFC 3339 text.
//
// Wall time (Timestamp) is for records and for people; steady time is for deadlines. Nothing else in the tree asks the
// system for the time, so that tests can run a month in a second.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>

namespace backstay::core {

/// Microseconds since the Unix epoch, UTC.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;
using Duration = std::chrono::microseconds;

/// Safe for use by any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() = 0;
  virtual SteadyTime steady_now() = 0;
  /// Waits until the time has passed or `stop` is requested; true if the whole time has passed.
  virtual bool wait(std::stop_token stop, Duration time) = 0;
};

/// The machine's own clocks.
class SystemClock final : public Clock {
 public:
  Timestamp now() override;
  SteadyTime steady_now() override;
  bool wait(std::stop_token stop, Duration time) override;
};

/// "2026-04-10T12:00:00Z", with up to six digits of fraction when it is not zero.
std::string format_time(Timestamp time);
/// Parses RFC 3339 with "Z" or an offset, any number of fraction digits (kept to the microsecond).
/// Throws Error(invalid_argument) that quotes the text.
Timestamp parse_time(std::string_view text);
/// "850ms", "12.3s", "4m05s", "3h12m": for people.
std::string format_duration(Duration duration);

}  // namespace backstay::core
