#include "control/archive_memory.h"

#include <gtest/gtest.h>

#include "metadata/destinations.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::control {
namespace {

TEST(ArchiveMemoryTest, KeepsTheFirstRepositoryOfADestination) {
  metadata::testing::TemporaryDatabase temporary;
  StateArchiveMemory memory(temporary.database());
  memory.remember_repository("d", "of a destination that is gone");
  temporary.database().write([](auto& tx) { metadata::Destinations(tx).insert({.id = "d", .url = "file:///a"}); });
  EXPECT_FALSE(memory.repository_id("d"));
  memory.remember_repository("d", "first");
  memory.remember_repository("d", "second");
  EXPECT_EQ(memory.repository_id("d"), "first");
}

TEST(ArchiveMemoryTest, KeepsTheLastWindowOfAnInstance) {
  metadata::testing::TemporaryDatabase temporary;
  StateArchiveMemory memory(temporary.database());
  EXPECT_FALSE(memory.window("i"));
  const auto time = core::parse_time("2026-01-02T03:04:05.678901Z");
  model::RecoveryWindow window{.instance_id = "i", .destination_id = "d", .earliest = time};
  memory.remember_window(window);
  window.latest = time + std::chrono::hours(1);
  window.gaps.push_back({time + std::chrono::minutes(1), time + std::chrono::minutes(2), "lost"});
  memory.remember_window(window);
  const auto known = memory.window("i");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->destination_id, "d");
  EXPECT_EQ(known->earliest, window.earliest);
  EXPECT_EQ(known->latest, window.latest);
  ASSERT_EQ(known->gaps.size(), 1U);
  EXPECT_EQ(known->gaps[0].from, window.gaps[0].from);
  EXPECT_EQ(known->gaps[0].to, window.gaps[0].to);
  EXPECT_EQ(known->gaps[0].reason, "lost");
}

TEST(ArchiveMemoryTest, KeepsTheLastRateOfAWork) {
  metadata::testing::TemporaryDatabase temporary;
  StateArchiveMemory memory(temporary.database());
  EXPECT_FALSE(memory.rate("restore"));
  memory.remember_rate("restore", {1, std::chrono::seconds(1), {}});
  const auto at = core::parse_time("2026-01-02T03:04:05Z");
  memory.remember_rate("restore", {1 << 30, std::chrono::milliseconds(1500), at});
  const auto known = memory.rate("restore");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->bytes, 1U << 30);
  EXPECT_EQ(known->time, std::chrono::milliseconds(1500));
  EXPECT_EQ(known->at, at);
  EXPECT_FALSE(memory.rate("replay"));
}

}  // namespace
}  // namespace backstay::control
