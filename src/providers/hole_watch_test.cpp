#include "providers/hole_watch.h"

#include <gtest/gtest.h>

namespace backstay::providers {
namespace {

using repository::ChainSurvey;
using repository::WalHole;

constexpr std::uint64_t kSegment = 16 << 20;

/// Of segments: where the newest backup begins, and where WAL ends.
ChainSurvey survey(std::optional<std::uint64_t> base, std::uint64_t end, std::vector<WalHole> holes) {
  ChainSurvey seen;
  seen.segment_size = kSegment;
  if (base) seen.newest_base_start = *base * kSegment;
  seen.end_lsn = end * kSegment;
  seen.holes = std::move(holes);
  return seen;
}

TEST(HoleWatchTest, AHoleBeforeTheNewestBackupThatWasThereBeforeIsNotTold) {
  HoleWatch watch;
  for (int look = 0; look < 3; ++look) {
    const auto verdict = watch.judge(survey(10, 20, {{4, 5}}));
    EXPECT_TRUE(verdict.is_sure);
    EXPECT_TRUE(verdict.lost.empty());
  }
  EXPECT_EQ(watch.judge(survey(10, 21, {{4, 5}, {7, 7}})).lost, (std::vector<WalHole>{{7, 7}})) << "it was there";
}

TEST(HoleWatchTest, AHoleBehindTheNewestBackupIsToldAlthoughItWasThereBefore) {
  HoleWatch watch;
  const auto first = watch.judge(survey(10, 20, {{12, 13}}));
  EXPECT_FALSE(first.is_sure) << "it may be on its way";
  EXPECT_TRUE(first.lost.empty());
  for (int look = 0; look < 2; ++look) {
    const auto next = watch.judge(survey(10, 21, {{12, 13}}));
    EXPECT_TRUE(next.is_sure);
    EXPECT_EQ(next.lost, (std::vector<WalHole>{{12, 13}}));
  }
}

TEST(HoleWatchTest, WithoutABackupNoHoleIsAnOldOne) {
  HoleWatch watch;
  EXPECT_FALSE(watch.judge(survey({}, 20, {{12, 13}})).is_sure);
  EXPECT_EQ(watch.judge(survey({}, 20, {{12, 13}})).lost.size(), 1U);
}

TEST(HoleWatchTest, WhatWasOnItsWayIsNotTold) {
  HoleWatch watch;
  EXPECT_FALSE(watch.judge(survey(10, 20, {{12, 13}})).is_sure);
  EXPECT_TRUE(watch.judge(survey(10, 20, {})).lost.empty());
  for (int look = 0; look < 2; ++look) {
    EXPECT_TRUE(watch.judge(survey(10, 30, {{24, 25}})).lost.empty()) << "it was never stored";
  }
}

TEST(HoleWatchTest, TheHoleEndsBehindTheNewestBackupWhereItsLastSegmentDoes) {
  EXPECT_FALSE(is_behind_newest({8, 9}, survey(10, 20, {})));
  EXPECT_TRUE(is_behind_newest({8, 10}, survey(10, 20, {})));
  EXPECT_FALSE(is_behind_newest({8, 10}, survey({}, 20, {})));
}

}  // namespace
}  // namespace backstay::providers
