#include "backup/slot_watch.h"

#include <gtest/gtest.h>

namespace backstay::backup {
namespace {

using std::chrono::seconds;

core::SteadyTime at(int second) { return core::SteadyTime(seconds(1000 + second)); }

postgres::SlotState slot_at(std::uint64_t lsn) {
  postgres::SlotState slot;
  slot.active = true;
  slot.restart_lsn = postgres::Lsn{lsn};
  slot.wal_status = "reserved";
  return slot;
}

TEST(SlotWatchTest, SaysNothingWhileTheSlotFollows) {
  SlotWatch watch(seconds(40));
  for (int second = 0; second < 300; second += 15) {
    const std::uint64_t end = 1000 + static_cast<std::uint64_t>(second);
    EXPECT_FALSE(watch.see(slot_at(end - 1), {end}, at(second))) << second;
  }
}

TEST(SlotWatchTest, SaysNothingOfAnIdleServer) {
  SlotWatch watch(seconds(40));
  for (int second = 0; second < 300; second += 15) EXPECT_FALSE(watch.see(slot_at(1000), {1000}, at(second)));
}

TEST(SlotWatchTest, TellsWithinAMinuteOfASlotThatStandsStill) {
  SlotWatch watch(seconds(40));
  EXPECT_FALSE(watch.see(slot_at(1000), {1000}, at(0)));
  EXPECT_FALSE(watch.see(slot_at(1000), {2000}, at(15)));
  EXPECT_FALSE(watch.see(slot_at(1000), {3000}, at(30)));
  EXPECT_FALSE(watch.see(slot_at(1000), {4000}, at(45)));  // what was there at first was released
  const auto problem = watch.see(slot_at(1000), {5000}, at(60));
  ASSERT_TRUE(problem);
  EXPECT_NE(problem->find("stands at 0/3E8"), std::string::npos) << *problem;
  EXPECT_FALSE(watch.see(slot_at(5000), {5000}, at(75)));  // it moves again
}

TEST(SlotWatchTest, TellsOfASlotThatIsGoneOrGivenUp) {
  SlotWatch watch(seconds(40));
  EXPECT_FALSE(watch.see(std::nullopt, {1000}, at(0)));  // it may be made anew at this moment
  EXPECT_TRUE(watch.see(std::nullopt, {1000}, at(45)));
  postgres::SlotState lost = slot_at(1);
  lost.restart_lsn.reset();
  lost.wal_status = "lost";
  const auto problem = watch.see(lost, {1000}, at(60));
  ASSERT_TRUE(problem);
  EXPECT_NE(problem->find("lost"), std::string::npos);
}

TEST(SlotWatchTest, BeginsAnewWithAnotherServer) {
  SlotWatch watch(seconds(40));
  EXPECT_FALSE(watch.see(slot_at(5000), {5000}, at(0)));
  EXPECT_FALSE(watch.see(slot_at(900), {1000}, at(60)));
}

}  // namespace
}  // namespace backstay::backup
