#include "control/housekeeping.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

TEST(HousekeepingTest, WhatEndedLongAgoGoesAndWhatIsOpenStays) {
  ControlWorld world;
  Housekeeping housekeeping(*world.database, world.clock, std::chrono::hours(24 * 30));
  const auto count_operations = [&] { return world.queries->operations({}, world.admin).size(); };
  const auto id = world.make_service().id;
  const auto open = world.commands->create_service(world.create_request("second"), world.admin).operation->id;
  housekeeping.tick();
  EXPECT_EQ(count_operations(), 2u);
  EXPECT_GT(world.events(id).size(), 0u);

  world.clock.advance(std::chrono::hours(24 * 31));
  housekeeping.tick();
  const auto left = world.queries->operations({}, world.admin);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left.front().id, open);
  EXPECT_EQ(world.events(id).size(), 0u);
}

TEST(HousekeepingTest, WorksOnceAnHour) {
  ControlWorld world;
  Housekeeping housekeeping(*world.database, world.clock, std::chrono::minutes(1));
  housekeeping.tick();
  const auto id = world.make_service().id;
  world.clock.advance(std::chrono::minutes(30));
  housekeeping.tick();
  EXPECT_GT(world.events(id).size(), 0u);
  world.clock.advance(std::chrono::minutes(30));
  housekeeping.tick();
  EXPECT_EQ(world.events(id).size(), 0u);
}

}  // namespace
}  // namespace backstay::control
