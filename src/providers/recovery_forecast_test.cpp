#include "providers/recovery_forecast.h"

#include <gtest/gtest.h>

#include "control/testing/memory_archive_memory.h"

namespace backstay::providers {
namespace {

backup::RecoveryPlan plan_of(std::uint64_t file_bytes, std::uint64_t segments) {
  backup::RecoveryPlan plan;
  plan.base.backup = "b";
  plan.wal_from = {0x1000000};
  plan.wal_to = plan.wal_from + segments * plan.base.wal_segment_size;
  plan.file_bytes = file_bytes;
  plan.wal_bytes = segments * plan.base.wal_segment_size;
  return plan;
}

const core::json::object& estimate_of(const core::json::object& told) { return told.at("estimate").as_object(); }

TEST(RecoveryForecastTest, TellsWhatIsReadAndThatTheSpeedIsAssumed) {
  control::testing::MemoryArchiveMemory memory;
  auto plan = plan_of(1 << 30, 4);
  plan.warnings = {"something is damaged"};
  const auto told = forecast(plan, memory);
  EXPECT_EQ(told.at("restoreBytes"), 1U << 30);
  EXPECT_EQ(told.at("wal").at("segments"), 4U);
  EXPECT_EQ(told.at("wal").at("bytes"), 64U << 20);
  EXPECT_EQ(told.at("warnings").as_array().at(0), "something is damaged");
  EXPECT_EQ(core::require_int(estimate_of(told), "seconds"), 15);  // 3 + 10.24 + 1.28
  EXPECT_NE(core::require_string(estimate_of(told), "basis").find("assumed"), std::string::npos);
}

TEST(RecoveryForecastTest, RestsOnWhatWasMeasuredLast) {
  control::testing::MemoryArchiveMemory memory;
  const auto now = core::parse_time("2026-01-02T03:04:05Z");
  backup::RecoverResult result;
  result.file_bytes = 1 << 30;
  result.restore_time = std::chrono::seconds(2);
  result.wal_bytes = 512 << 20;
  result.replay_time = std::chrono::seconds(1);
  remember_rates(result, now, memory);
  const auto told = forecast(plan_of(1 << 30, 32), memory);
  EXPECT_EQ(core::require_int(estimate_of(told), "seconds"), 6);
  const auto basis = core::require_string(estimate_of(told), "basis");
  EXPECT_NE(basis.find("restore at 512.0 MiB/s, measured here at 2026-01-02T03:04:05Z"), std::string::npos) << basis;
}

TEST(RecoveryForecastTest, LearnsNothingFromSmallRecoveries) {
  control::testing::MemoryArchiveMemory memory;
  backup::RecoverResult result;
  result.file_bytes = 30 << 20;
  result.restore_time = std::chrono::seconds(2);
  remember_rates(result, {}, memory);
  EXPECT_FALSE(memory.rate("restore"));
  EXPECT_FALSE(memory.rate("replay"));
}

}  // namespace
}  // namespace backstay::providers
