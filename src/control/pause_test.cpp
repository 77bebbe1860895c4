#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

model::Service set_pause(ControlWorld& world, const std::string& id, bool pause) {
  UpdateServiceRequest change;
  change.pause = pause;
  return world.commands->update_service(id, change, world.admin).service;
}

bool has_call(const ControlWorld& world, const std::string& call) {
  const auto calls = world.provider->calls();
  return std::ranges::find(calls, call) != calls.end();
}

TEST(PauseTest, GoesThroughTheStatesOfTheContract) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto instance = world.service(id).status.instance_id;
  EXPECT_EQ(set_pause(world, id, true).status.state, ServiceState::kPausing);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kPaused);
  EXPECT_TRUE(has_call(world, "pause " + instance));
  EXPECT_FALSE(world.service(id).status.details.at("ready").as_bool());

  EXPECT_EQ(set_pause(world, id, false).status.state, ServiceState::kUnpausing);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_TRUE(world.service(id).status.details.at("ready").as_bool());
  for (const char* name : {"service.pausing", "service.paused", "service.unpausing"}) {
    EXPECT_EQ(world.count_events(id, name), 1u) << name;
  }
}

TEST(PauseTest, APausedServerIsNeitherRestartedNorBackedUp) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  set_pause(world, id, true);
  world.settle();
  const auto backups = world.queries->backups(id, world.admin).size();
  for (int hours = 0; hours < 72; ++hours) {
    world.clock.advance(std::chrono::hours(1));
    world.tick();
    world.settle();
  }
  EXPECT_EQ(world.service(id).status.state, ServiceState::kPaused);
  EXPECT_EQ(world.count_events(id, "server.died"), 0u);
  EXPECT_EQ(world.queries->backups(id, world.admin).size(), backups);

  set_pause(world, id, false);
  world.settle();
  world.tick();
  world.settle();
  EXPECT_EQ(world.queries->backups(id, world.admin).size(), backups + 1) << "missed runs are caught up by one";
}

TEST(PauseTest, ABackupOfAPausedServiceIsRefused) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  set_pause(world, id, true);
  world.settle();
  try {
    world.commands->schedule_backup(id, world.admin);
    FAIL() << "was accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConflict);
    EXPECT_NE(error.hint().find("resume"), std::string::npos);
  }
}

TEST(PauseTest, AChangeOfAPausedServiceWaitsForItsResumption) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto instance = world.service(id).status.instance_id;
  set_pause(world, id, true);
  world.settle();
  UpdateServiceRequest change;
  change.config = core::json::object{{"max_connections", "77"}};
  world.commands->update_service(id, change, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kPaused);
  EXPECT_FALSE(has_call(world, "apply " + instance));
  set_pause(world, id, false);
  world.settle();
  EXPECT_TRUE(has_call(world, "apply " + instance));
}

TEST(PauseTest, TurningBackupsOffDoesNotCancelTheMaking) {
  ControlWorld world;
  auto request = world.create_request();
  request.backups = world.backups_request();
  const auto id = world.commands->create_service(request, world.admin).service.id;
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world.commands->update_service(id, off, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

}  // namespace
}  // namespace backstay::control
