#include "providers/recently_used.h"

#include <gtest/gtest.h>

namespace backstay::providers {
namespace {

using std::chrono::minutes;

TEST(RecentlyUsedTest, ForgetsWhatNobodyAsksForAnyMore) {
  RecentlyUsed<int> kept(minutes(10));
  const core::SteadyTime begin{};
  kept.put("asked for", 1, begin);
  kept.put("left alone", 2, begin);
  EXPECT_EQ(*kept.find("asked for", begin + minutes(8)), 1);
  kept.put("new", 3, begin + minutes(11));
  EXPECT_EQ(*kept.find("asked for", begin + minutes(11)), 1);
  EXPECT_EQ(kept.find("left alone", begin + minutes(11)), nullptr);
  EXPECT_EQ(kept.size(), 2u);
}

TEST(RecentlyUsedTest, PutsTheNewInPlaceOfTheOld) {
  RecentlyUsed<int> kept(minutes(10));
  kept.put("a", 1, {});
  kept.put("a", 2, {});
  EXPECT_EQ(*kept.find("a", {}), 2);
  EXPECT_EQ(kept.find("b", {}), nullptr);
}

}  // namespace
}  // namespace backstay::providers
