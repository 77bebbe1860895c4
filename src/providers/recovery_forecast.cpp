#include "providers/recovery_forecast.h"

#include <cmath>

#include <fmt/format.h>

#include "core/text.h"

namespace backstay::providers {
namespace {

/// Starting, promoting and handing over, which no amount of data changes.
constexpr double kFixedSeconds = 3;
/// Less says more of delays than of speed.
constexpr std::uint64_t kMeasurable = 256 << 20;
constexpr auto kRestore = "restore";
constexpr auto kReplay = "replay";

struct Speed {
  double bytes_per_second;
  std::string basis;
};

Speed speed_of(control::ArchiveMemory& memory, const std::string& work, std::uint64_t assumed) {
  const auto measured = memory.rate(work);
  if (!measured || measured->bytes == 0 || measured->time.count() <= 0) {
    return {static_cast<double>(assumed), fmt::format("{} at {}/s, assumed: nothing of size was measured here yet",
                                                      work, core::format_bytes(assumed))};
  }
  const double speed = static_cast<double>(measured->bytes) / std::chrono::duration<double>(measured->time).count();
  return {speed, fmt::format("{} at {}/s, measured here at {}", work,
                             core::format_bytes(static_cast<std::uint64_t>(speed)), core::format_time(measured->at))};
}

core::json::object estimate(const backup::RecoveryPlan& plan, control::ArchiveMemory& memory) {
  const auto restore = speed_of(memory, kRestore, 100 << 20);
  const auto replay = speed_of(memory, kReplay, 50 << 20);
  const double seconds = kFixedSeconds + static_cast<double>(plan.file_bytes) / restore.bytes_per_second +
                         static_cast<double>(plan.wal_bytes) / replay.bytes_per_second;
  return {{"seconds", static_cast<std::int64_t>(std::ceil(seconds))},
          {"basis", fmt::format("{}; {}; {} s to start and hand over", restore.basis, replay.basis, kFixedSeconds)}};
}

void remember_rate(control::ArchiveMemory& memory, const char* work, const control::MeasuredRate& rate) {
  if (rate.bytes >= kMeasurable && rate.time.count() > 0) memory.remember_rate(work, rate);
}

}  // namespace

core::json::object forecast(const backup::RecoveryPlan& plan, control::ArchiveMemory& memory) {
  core::json::object told{{"instanceId", plan.instance},
                          {"backup",
                           {{"id", plan.base.backup},
                            {"takenAt", core::format_time(plan.base.stop_time)},
                            {"storedBytes", plan.base.stored_size}}},
                          {"wal",
                           {{"from", postgres::format_lsn(plan.wal_from)},
                            {"to", postgres::format_lsn(plan.wal_to)},
                            {"segments", plan.wal_bytes / plan.base.wal_segment_size},
                            {"bytes", plan.wal_bytes}}},
                          {"restoreBytes", plan.file_bytes},
                          {"estimate", estimate(plan, memory)}};
  if (plan.time) told["time"] = core::format_time(*plan.time);
  if (plan.last_commit) told["lastCommit"] = core::format_time(*plan.last_commit);
  core::json::array warnings;
  for (const auto& warning : plan.warnings) warnings.emplace_back(warning);
  told["warnings"] = std::move(warnings);
  return told;
}

void remember_rates(const backup::RecoverResult& result, core::Timestamp now, control::ArchiveMemory& memory) {
  remember_rate(memory, kRestore, {result.file_bytes, result.restore_time, now});
  remember_rate(memory, kReplay, {result.wal_bytes, result.replay_time, now});
}

}  // namespace backstay::providers
