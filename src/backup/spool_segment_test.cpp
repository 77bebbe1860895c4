#include "backup/spool_segment.h"

#include <algorithm>
#include <optional>

#include <gtest/gtest.h>

#include "core/error.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kSize = 1024 * 1024;

TEST(SpoolSegmentTest, ASecondOneOfTheSameNameLeavesTheFirstAlone) {
  const postgres::testing::TemporaryDirectory directory;
  const core::Bytes first(kSize, std::byte{1});
  const core::Bytes second(kSize, std::byte{2});
  std::optional<SpoolSegment> queued(std::in_place, directory.path(), postgres::SegmentName{{1}, 7}, kSize);
  queued->write(0, first);
  SpoolSegment filling(directory.path(), {{1}, 7}, kSize);
  filling.write(0, second);
  EXPECT_TRUE(std::ranges::equal(queued->bytes(0, kSize), first)) << "an upload still reads it";
  queued.reset();
  EXPECT_TRUE(std::ranges::equal(filling.bytes(0, kSize), second));
}

TEST(SpoolTest, AFileIsUsedAgainForAnotherSegment) {
  const postgres::testing::TemporaryDirectory directory;
  Spool spool(directory.path(), kSize);
  auto first = spool.take({{1}, 7});
  first->write(0, core::Bytes(kSize, std::byte{1}));
  const SpoolSegment* const file = first.get();
  spool.give_back(std::move(first));
  const auto second = spool.take({{1}, 8});
  EXPECT_EQ(second.get(), file);
  EXPECT_EQ(second->name().segment, 8U);
  second->write(10, core::Bytes(10, std::byte{2}));
  EXPECT_EQ(second->bytes(10, 11).front(), std::byte{2});
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "000000010000000000000007"));
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "000000010000000000000008"));
}

TEST(SpoolTest, AFileThatSomebodyRemovedIsMadeAnew) {
  const postgres::testing::TemporaryDirectory directory;
  Spool spool(directory.path(), kSize);
  spool.give_back(spool.take({{1}, 7}));
  std::filesystem::remove_all(directory.path());
  EXPECT_THROW((void)spool.take({{1}, 8}), core::Error) << "a spool that takes nothing is told of";
  std::filesystem::create_directory(directory.path());
  EXPECT_TRUE(spool.take({{1}, 8}));
}

TEST(SpoolTest, WhatIsFreeIsBounded) {
  const postgres::testing::TemporaryDirectory directory;
  Spool spool(directory.path(), kSize);
  std::vector<std::unique_ptr<SpoolSegment>> taken;
  for (postgres::SegmentNumber segment = 0; segment < 8; ++segment) taken.push_back(spool.take({{1}, segment}));
  for (auto& segment : taken) spool.give_back(std::move(segment));
  using Entries = std::filesystem::directory_iterator;
  EXPECT_EQ(std::distance(Entries(directory.path()), Entries()), 2);
}

}  // namespace
}  // namespace backstay::backup
