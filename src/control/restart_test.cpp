#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

/// What the provider was asked for since `before` calls.
std::vector<std::string> calls_since(const ControlWorld& world, std::size_t before) {
  const auto calls = world.calls();
  return {calls.begin() + static_cast<std::ptrdiff_t>(before), calls.end()};
}

core::Code refusal(ControlWorld& world, const std::string& id) {
  try {
    world.commands->restart_service(id, world.admin);
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "was accepted";
  return core::Code::kInternal;
}

TEST(RestartTest, FencesAfterACheckpointAndStartsAgain) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto instance = world.service(id).status.instance_id;
  const auto before = world.calls().size();
  const auto change = world.commands->restart_service(id, world.admin);
  EXPECT_EQ(change.service.status.state, ServiceState::kUpdating);
  ASSERT_TRUE(change.operation);
  world.settle();
  EXPECT_EQ(calls_since(world, before),
            (std::vector<std::string>{"checkpoint " + instance, "fence " + instance, "start " + instance}));
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(world.count_events(id, "service.restarting"), 1u);
  EXPECT_EQ(world.count_events(id, "server.restarted"), 1u);
  EXPECT_EQ(world.count_events(id, "server.died"), 0u);
}

TEST(RestartTest, IsNotTakenForADeathWhileItIsDown) {
  ControlWorld world;
  const auto id = world.make_service().id;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "start") world.tick();
  });
  world.commands->restart_service(id, world.admin);
  world.settle();
  EXPECT_EQ(world.count_events(id, "server.died"), 0u);
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(RestartTest, TwoWishesAtOnceAreOneRestart) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto first = world.commands->restart_service(id, world.admin);
  const auto second = world.commands->restart_service(id, world.admin);
  EXPECT_EQ(first.operation->id, second.operation->id);
}

TEST(RestartTest, AFailedOneLeavesTheServerToTheReconciler) {
  ControlWorld world;
  const auto id = world.make_service().id;
  world.provider->fail_next("fence", core::Error(core::Code::kInternal, "it does not end"));
  world.commands->restart_service(id, world.admin);
  world.settle();
  world.tick();
  EXPECT_EQ(world.count_events(id, "server.restart_failed"), 1u);
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized) << "it runs as before";
}

TEST(RestartTest, IsRefusedWhereNothingRunsHere) {
  ControlWorld world;
  const auto id = world.make_service().id;
  UpdateServiceRequest pause;
  pause.pause = true;
  world.commands->update_service(id, pause, world.admin);
  world.settle();
  EXPECT_EQ(refusal(world, id), core::Code::kConflict);
  EXPECT_EQ(refusal(world, world.random.uuid()), core::Code::kNotFound);
  const auto fresh = world.commands->create_service(world.create_request("fresh"), world.admin).service.id;
  EXPECT_EQ(refusal(world, fresh), core::Code::kConflict) << "it is still being made";
  world.settle();
  world.provider->move_elsewhere();
  EXPECT_EQ(refusal(world, fresh), core::Code::kNotSupported);
}

}  // namespace
}  // namespace backstay::control
