#include "backup/pace.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fcntl.h>
#include <unistd.h>

#include "os/file.h"
#include "postgres/connection.h"

namespace backstay::backup {
namespace {

constexpr std::chrono::milliseconds kShortestRun{10};
constexpr std::chrono::milliseconds kLongestPause{500};
constexpr core::Duration kLookInterval = std::chrono::seconds(1);
/// Our own questions are transactions too.
constexpr std::int64_t kBusyTransactions = 20;
/// Of the time in which the thread wanted to run.
constexpr double kMuchWaiting = 0.05;
constexpr double kLittleWaiting = 0.02;
constexpr double kFirstMultiple = 2;
constexpr double kLargestMultiple = 12;

constexpr const char* kQuestion =
    "SELECT (SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database)::bigint,"
    " (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'"
    " AND pid <> pg_backend_pid())";

}  // namespace

ThreadTimes thread_times() {
  // Opened anew each time: an open one would stay that of the thread which opened it.
  const os::Descriptor file(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  const auto size = file.valid() ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size <= 0) return {};
  const char* const end = text.data() + size;
  std::int64_t ran = 0;
  std::int64_t waited = 0;
  const auto first = std::from_chars(text.data(), end, ran);
  if (first.ec != std::errc{} || first.ptr == end) return {};
  std::from_chars(first.ptr + 1, end, waited);
  return {std::chrono::nanoseconds(ran), std::chrono::nanoseconds(waited)};
}

core::Duration PaceRule::pause_at(const ThreadTimes& now) {
  const auto ran = now.ran - last_.ran;
  const auto waited = now.waited - last_.waited;
  if (ran < kShortestRun) return {};
  last_ = now;
  const double share = static_cast<double>(waited.count()) / static_cast<double>((ran + waited).count());
  if (share > kMuchWaiting) {
    multiple_ = std::clamp(multiple_ * 2, kFirstMultiple, kLargestMultiple);
  } else if (share < kLittleWaiting) {
    multiple_ = multiple_ < kFirstMultiple / 2 ? 0 : multiple_ * 0.9;
  }
  const auto pause = std::chrono::duration_cast<core::Duration>(ran * multiple_);
  return std::min<core::Duration>(pause, kLongestPause);
}

void Pace::look(postgres::Connection& connection) {
  const core::SteadyTime now = clock_.steady_now();
  if (looked_ != core::SteadyTime{} && now - looked_ < kLookInterval) return;
  const auto rows = connection.query(kQuestion);
  const std::int64_t transactions = rows.integer(0, 0);
  const auto seconds = std::chrono::duration<double>(now - looked_).count();
  const bool first = looked_ == core::SteadyTime{};
  const double rate = first ? 0 : static_cast<double>(transactions - transactions_) / seconds;
  busy_ = rows.integer(0, 1) > 0 || rate > static_cast<double>(kBusyTransactions);
  looked_ = now;
  transactions_ = transactions;
}

void Pace::make_way(const std::stop_token& stop) {
  thread_local PaceRule rule;
  if (!busy_) return;
  const core::Duration pause = rule.pause_at(thread_times());
  if (pause > core::Duration{}) clock_.wait(stop, pause);
}

}  // namespace backstay::backup
