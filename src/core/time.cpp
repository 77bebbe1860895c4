#include "core/time.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::core {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw Error(Code::kInvalidArgument, fmt::format("'{}' is not an RFC 3339 time such as 2026-04-10T12:00:00Z", text));
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  int digits(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value * 10 + digit();
    return value;
  }
  void expect(std::string_view any_of) {
    if (at_ >= text_.size() || any_of.find(text_[at_]) == std::string_view::npos) refuse(text_);
    ++at_;
  }
  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  int digit() {
    if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') refuse(text_);
    return text_[at_++] - '0';
  }
  [[nodiscard]] bool at_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Timestamp SystemClock::now() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady_now() { return std::chrono::steady_clock::now(); }

bool SystemClock::wait(std::stop_token stop, Duration time) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

namespace {

/// Lists show thousands of times; a format string would take longer than all else about them.
void append_padded(std::string& text, char before, std::int64_t value, std::size_t width) {
  text += before;
  text.append(width, '0');
  for (auto at = text.rbegin(); value != 0; value /= 10) *at++ = static_cast<char>('0' + value % 10);
}

}  // namespace

std::string format_time(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string text = fmt::format("{:04}", static_cast<int>(date.year()));
  append_padded(text, '-', static_cast<unsigned>(date.month()), 2);
  append_padded(text, '-', static_cast<unsigned>(date.day()), 2);
  append_padded(text, 'T', clock.hours().count(), 2);
  append_padded(text, ':', clock.minutes().count(), 2);
  append_padded(text, ':', clock.seconds().count(), 2);
  if (const auto fraction = clock.subseconds().count(); fraction != 0) {
    append_padded(text, '.', fraction, 6);
    while (text.back() == '0') text.pop_back();
  }
  return text + "Z";
}

Timestamp parse_time(std::string_view text) {
  Reader in(text);
  const std::chrono::year year(in.digits(4));
  in.expect("-");
  const std::chrono::month month(static_cast<unsigned>(in.digits(2)));
  in.expect("-");
  const std::chrono::day day(static_cast<unsigned>(in.digits(2)));
  in.expect("Tt ");
  const int hour = in.digits(2);
  in.expect(":");
  const int minute = in.digits(2);
  in.expect(":");
  const int second = in.digits(2);
  std::int64_t micros = 0;
  if (in.accept('.')) {
    std::int64_t scale = 100'000;
    micros = in.digit() * scale;
    while (in.at_digit()) {
      scale /= 10;
      micros += in.digit() * scale;
    }
  }
  std::chrono::minutes offset{0};
  if (!in.accept('Z') && !in.accept('z')) {
    const bool west = in.accept('-');
    if (!west) in.expect("+");
    const int offset_hours = in.digits(2);
    in.expect(":");
    const int offset_minutes = in.digits(2);
    if (offset_hours > 23 || offset_minutes > 59) refuse(text);
    offset = std::chrono::hours(offset_hours) + std::chrono::minutes(offset_minutes);
    if (west) offset = -offset;
  }
  const std::chrono::year_month_day date(year, month, day);
  if (!in.at_end() || !date.ok() || hour > 23 || minute > 59 || second > 60) refuse(text);
  return Timestamp(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::microseconds(micros) - offset;
}

std::string format_duration(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace backstay::core
