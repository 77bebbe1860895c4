#include "backup/pace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "os/file.h"
#include "os/priority.h"
#include "postgres/connection.h"

namespace backstay::backup {
namespace {

constexpr std::chrono::milliseconds kShortestRun{2};
constexpr std::chrono::milliseconds kLongestPause{500};
/// For a rate: a backup's own questions at its start are transactions too, a dozen at once.
constexpr core::Duration kShortestInterval = std::chrono::seconds(1);
/// A server tells of its transactions about once a second.
constexpr core::Duration kBusyFor = std::chrono::seconds(3);
constexpr std::int64_t kBusyTransactions = 50;
/// Of the time in which the thread wanted to run.
constexpr double kMuchWaiting = 0.05;
constexpr double kLittleWaiting = 0.02;
constexpr double kFirstMultiple = 2;
constexpr double kLargestMultiple = 12;
/// Of the whole machine.
constexpr double kLittleIdle = 0.12;
constexpr double kMuchIdle = 0.25;
constexpr double kFirstReserve = 8;

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

MachineTimes machine_times() {
  const os::Descriptor file(::open("/proc/stat", O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const auto size = file.valid() ? ::read(file.get(), text.data(), text.size()) : -1;
  constexpr std::string_view kAll = "cpu ";
  if (size <= 0 || !std::string_view(text.data(), static_cast<std::size_t>(size)).starts_with(kAll)) return {};
  // user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen.
  constexpr int kFields = 8;
  MachineTimes times;
  const char* at = text.data() + kAll.size();
  const char* const end = text.data() + size;
  for (int field = 0; field < kFields; ++field) {
    while (at != end && *at == ' ') ++at;
    std::uint64_t ticks = 0;
    const auto read = std::from_chars(at, end, ticks);
    if (read.ec != std::errc{}) return {};
    at = read.ptr;
    times.total += ticks;
    if (field == 3 || field == 4) times.idle += ticks;
  }
  return times;
}

double ReserveRule::multiple_at(const MachineTimes& now) {
  const bool first = last_.total == 0;
  const std::uint64_t total = now.total - last_.total;
  if (now.total == 0 || (!first && total == 0)) return multiple_;
  const double idle = static_cast<double>(now.idle - last_.idle) / static_cast<double>(total);
  last_ = now;
  if (first) {
    multiple_ = kFirstReserve;
  } else if (idle < kLittleIdle) {
    multiple_ = std::clamp(multiple_ * 2, kFirstMultiple, kLargestMultiple);
  } else if (idle > kMuchIdle) {
    multiple_ = multiple_ < kFirstMultiple / 4 ? 0 : multiple_ * 0.8;
  }
  return multiple_;
}

core::Duration PaceRule::pause_at(const ThreadTimes& now, double least) {
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
  const auto pause = std::chrono::duration_cast<core::Duration>(ran * std::max(multiple_, least));
  return std::min<core::Duration>(pause, kLongestPause);
}

void Pace::look(postgres::Connection& connection) {
  const core::SteadyTime now = clock_.steady_now();
  const auto rows = connection.query(kQuestion);
  if (rows.integer(0, 1) > 0) seen_busy_ = now;
  const bool first = looked_ == core::SteadyTime{};
  if (first || now - looked_ >= kShortestInterval) {
    const std::int64_t transactions = rows.integer(0, 0);
    const auto seconds = std::chrono::duration<double>(now - looked_).count();
    const double rate = first ? 0 : static_cast<double>(transactions - transactions_) / seconds;
    if (rate > static_cast<double>(kBusyTransactions)) seen_busy_ = now;
    looked_ = now;
    transactions_ = transactions;
  }
  const bool busy = seen_busy_ != core::SteadyTime{} && now - seen_busy_ < kBusyFor;
  if (!busy) reserve_ = {};
  least_ = busy ? reserve_.multiple_at(machine_times()) : 0;
  busy_ = busy;
}

void Pace::make_way(const std::stop_token& stop) {
  thread_local PaceRule rule;
  thread_local bool lowered = false;
  if (!busy_) return;
  if (!std::exchange(lowered, true)) os::lower_priority();
  const core::Duration pause = rule.pause_at(thread_times(), least_);
  if (pause > core::Duration{}) clock_.wait(stop, pause);
}

}  // namespace backstay::backup
