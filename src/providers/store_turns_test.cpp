#include "providers/store_turns.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::providers {
namespace {

TEST(StoreTurnsTest, ATeamHoldsNoMoreThanItsPart) {
  StoreTurns turns({.of_team = 2, .of_all = 4});
  const auto first = turns.take(1);
  {
    const auto second = turns.take(1);
    EXPECT_FALSE(turns.try_take(1));
    EXPECT_TRUE(turns.try_take(2));
  }
  EXPECT_TRUE(turns.try_take(1));
}

TEST(StoreTurnsTest, AllTeamsTogetherLeaveWorkersForOthers) {
  StoreTurns turns({.of_team = 2, .of_all = 3});
  const auto one = turns.take(1);
  const auto two = turns.take(2);
  const auto three = turns.take(3);
  try {
    turns.take(4);
    FAIL() << "a fourth was given";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kUnavailable);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(StoreTurnsTest, TheLastTurnsGoToTeamsThatHoldNone) {
  StoreTurns turns({.of_team = 2, .of_all = 4, .for_first = 2});
  const auto one = turns.take(1);
  const auto another = turns.take(1);
  const auto two = turns.take(2);
  EXPECT_FALSE(turns.try_take(2)) << "it would be the second of a team";
  EXPECT_TRUE(turns.try_take(3));
}

TEST(StoreTurnsTest, ATurnThatWasMovedIsGivenBackOnce) {
  StoreTurns turns({.of_team = 1, .of_all = 1});
  {
    auto turn = turns.take(1);
    const auto moved = std::move(turn);
    EXPECT_FALSE(turns.try_take(1));
  }
  const auto again = turns.take(1);
  EXPECT_FALSE(turns.try_take(2));
}

}  // namespace
}  // namespace backstay::providers
