#include "backup/pace.h"

#include <gtest/gtest.h>

namespace backstay::backup {
namespace {

using std::chrono::milliseconds;

/// The times of a thread that runs and waits as told.
class Thread {
 public:
  core::Duration go_on(milliseconds ran, milliseconds waited) {
    times_.ran += ran;
    times_.waited += waited;
    return rule_.pause_at(times_);
  }

 private:
  PaceRule rule_;
  ThreadTimes times_;
};

TEST(PaceRuleTest, GoesOnWhereProcessorsAreFree) {
  Thread thread;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(thread.go_on(milliseconds(20), milliseconds(0)), core::Duration{});
}

TEST(PaceRuleTest, PausesLongerAsLongAsItHadToWait) {
  Thread thread;
  const auto first = thread.go_on(milliseconds(20), milliseconds(10));
  EXPECT_EQ(first, milliseconds(40));
  const auto second = thread.go_on(milliseconds(20), milliseconds(10));
  EXPECT_EQ(second, milliseconds(80));
  for (int i = 0; i < 10; ++i) thread.go_on(milliseconds(20), milliseconds(10));
  EXPECT_EQ(thread.go_on(milliseconds(20), milliseconds(10)), milliseconds(240));
}

TEST(PaceRuleTest, ComesBackToFullSpeed) {
  Thread thread;
  thread.go_on(milliseconds(20), milliseconds(10));
  core::Duration pause = milliseconds(1);
  for (int i = 0; i < 20; ++i) pause = thread.go_on(milliseconds(20), milliseconds(0));
  EXPECT_EQ(pause, core::Duration{});
}

TEST(PaceRuleTest, GathersRunsThatAreTooShortToTell) {
  Thread thread;
  EXPECT_EQ(thread.go_on(milliseconds(1), milliseconds(1)), core::Duration{});
  EXPECT_EQ(thread.go_on(milliseconds(1), milliseconds(1)), milliseconds(4));
}

TEST(PaceRuleTest, NeverPausesForLong) {
  Thread thread;
  EXPECT_EQ(thread.go_on(milliseconds(10'000), milliseconds(10'000)), milliseconds(500));
}

TEST(PaceRuleTest, PausesNoLessThanItIsTold) {
  PaceRule rule;
  EXPECT_EQ(rule.pause_at({.ran = milliseconds(20)}, 4), milliseconds(80));
}

/// What the rule says after intervals of 100 ticks with so many idle ones each.
double after(ReserveRule& rule, MachineTimes& times, std::uint64_t idle, int intervals) {
  double multiple = 0;
  for (int i = 0; i < intervals; ++i) {
    times.idle += idle;
    times.total += 100;
    multiple = rule.multiple_at(times);
  }
  return multiple;
}

TEST(ReserveRuleTest, BeginsSlowlyAndGoesFasterWhereMuchIsIdle) {
  ReserveRule rule;
  MachineTimes times;
  EXPECT_EQ(after(rule, times, 80, 1), 8);
  EXPECT_LT(after(rule, times, 80, 1), 8);
  EXPECT_EQ(after(rule, times, 80, 20), 0);
}

TEST(ReserveRuleTest, GoesSlowlyWhereNothingIsIdle) {
  ReserveRule rule;
  MachineTimes times;
  after(rule, times, 80, 20);
  EXPECT_EQ(after(rule, times, 5, 1), 2);
  EXPECT_EQ(after(rule, times, 5, 10), 12);
}

TEST(ReserveRuleTest, StaysWhereSomeIsLeft) {
  ReserveRule rule;
  MachineTimes times;
  EXPECT_EQ(after(rule, times, 18, 10), 8);
}

TEST(ReserveRuleTest, LeavesAMachineThatDoesNotTellToTheThreads) {
  ReserveRule rule;
  EXPECT_EQ(rule.multiple_at({}), 0);
}

TEST(MachineTimesTest, Grow) {
  const auto before = machine_times();
  if (before.total == 0) GTEST_SKIP() << "this kernel does not tell";
  EXPECT_LE(before.idle, before.total);
  while (machine_times().total == before.total) {
  }
  EXPECT_GT(machine_times().total, before.total);
}

TEST(ThreadTimesTest, GrowWithWork) {
  const auto before = thread_times();
  if (before.ran.count() == 0) GTEST_SKIP() << "this kernel does not tell";
  volatile std::uint64_t sum = 0;
  while (thread_times().ran == before.ran) sum = sum + 1;
  EXPECT_GT(thread_times().ran, before.ran);
}

}  // namespace
}  // namespace backstay::backup
