#include "backup/tail_plan.h"

#include <gtest/gtest.h>

namespace backstay::backup {
namespace {

TEST(TailPlanTest, FirstTailStartsAtTheSegment) {
  const TailPlan plan;
  EXPECT_EQ(plan.next(100), (TailPlan::Tail{0, 100, 0}));
}

TEST(TailPlanTest, TailsFollowEachOther) {
  TailPlan plan;
  EXPECT_TRUE(plan.stored(plan.next(100)).empty());
  EXPECT_EQ(plan.next(150), (TailPlan::Tail{100, 150, 0}));
}

TEST(TailPlanTest, EighthTailReplacesTheSevenBeforeIt) {
  TailPlan plan;
  for (std::uint64_t to = 1; to <= 7; ++to) EXPECT_TRUE(plan.stored(plan.next(to)).empty());
  const auto merged = plan.next(8);
  EXPECT_EQ(merged, (TailPlan::Tail{0, 8, 1}));
  EXPECT_EQ(plan.stored(merged).size(), 7U);
  EXPECT_EQ(plan.next(9), (TailPlan::Tail{8, 9, 0}));
}

TEST(TailPlanTest, FewObjectsAndFewRewritesForAQuietSegment) {
  TailPlan plan;
  std::uint64_t alive = 0;
  std::uint64_t most = 0;
  std::uint64_t written = 0;
  for (std::uint64_t to = 1; to <= 2048; ++to) {
    const auto tail = plan.next(to);
    written += tail.to - tail.from;
    alive = alive + 1 - plan.stored(tail).size();
    most = std::max(most, alive);
  }
  EXPECT_LE(most, 40U);
  EXPECT_LE(written, 2048U * 5);
  EXPECT_EQ(plan.stored_to(), 2048U);
}

}  // namespace
}  // namespace backstay::backup
