#include "control/look_schedule.h"

#include <gtest/gtest.h>

namespace backstay::control {
namespace {

core::SteadyTime at(int second) { return core::SteadyTime(std::chrono::seconds(second)); }

TEST(LookScheduleTest, TheLongestDueComesFirstAndOnce) {
  LookSchedule schedule;
  schedule.set("late", at(3));
  schedule.set("early", at(1));
  schedule.set("later", at(9));
  EXPECT_EQ(schedule.take_due(at(5)), "early");
  EXPECT_EQ(schedule.take_due(at(5)), "late");
  EXPECT_FALSE(schedule.has_due(at(5)));
  EXPECT_FALSE(schedule.take_due(at(5)));
  EXPECT_EQ(schedule.take_due(at(9)), "later");
}

TEST(LookScheduleTest, WhatChangedComesBeforeWhatIsDue) {
  LookSchedule schedule;
  schedule.set("due", at(1));
  schedule.set("changed", at(100));
  schedule.hurry("changed");
  EXPECT_EQ(schedule.take_due(at(2)), "changed");
  EXPECT_EQ(schedule.take_due(at(2)), "due");
}

TEST(LookScheduleTest, WhatIsForgottenDoesNotCome) {
  LookSchedule schedule;
  schedule.set("s", at(1));
  schedule.forget("s");
  schedule.forget("s");
  EXPECT_FALSE(schedule.take_due(at(2)));
}

}  // namespace
}  // namespace backstay::control
