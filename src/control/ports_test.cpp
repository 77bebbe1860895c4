#include "control/ports.h"

#include <set>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "metadata/events.h"
#include "metadata/instances.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

std::uint16_t port_of(ControlWorld& world, const std::string& service_id) {
  return world.database->read(
      [&](auto& tx) { return metadata::Instances(tx).list_of_service(service_id).front().port; });
}

std::string bodies_of(ControlWorld& world, const std::string& service_id, std::string_view name) {
  std::string text;
  for (const auto& event : world.queries->service(service_id, world.admin).recent_events) {
    if (event.name == name) text += event.body + "\n";
  }
  return text;
}

TEST(PortsTest, TwoServersOfOneMachineSeldomChooseTheSame) {
  std::set<std::uint16_t> seen;
  for (int i = 0; i < 4; ++i) {
    ControlWorld world;
    seen.insert(port_of(world, world.commands->create_service(world.create_request(), world.admin).service.id));
  }
  EXPECT_GT(seen.size(), 1u);
}

TEST(PortsTest, AServerThatNeverServedGetsAnotherPortAtOnce) {
  ControlWorld world;
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  const auto taken = port_of(world, id);
  world.provider->occupy_port(taken);
  world.settle();
  const auto service = world.service(id);
  EXPECT_EQ(service.status.state, ServiceState::kSynchronized);
  EXPECT_NE(port_of(world, id), taken);
  EXPECT_EQ(service.status.details.at("port"), core::json::value(port_of(world, id)));
  EXPECT_EQ(world.count_events(id, "operation.retrying"), 0u);
}

TEST(PortsTest, ARecoveredServerGetsAnotherPortToo) {
  ControlWorld world;
  const auto source = world.make_service(true);
  auto request = world.create_request("recovered");
  request.recover_from.emplace();
  request.recover_from->service_id = source.id;
  const auto id = world.commands->create_service(request, world.admin).service.id;
  const auto taken = port_of(world, id);
  world.provider->occupy_port(taken);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_NE(port_of(world, id), taken);
}

TEST(PortsTest, AServerThatHasServedWaitsForItsPort) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto port = port_of(world, id);
  world.provider->occupy_port(port);
  world.provider->set_liveness(world.service(id).status.instance_id, Liveness::kDead);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kUnknown);
  EXPECT_EQ(port_of(world, id), port) << "its clients know it";
  EXPECT_NE(bodies_of(world, id, "operation.retrying").find(std::to_string(port)), std::string::npos);
  world.provider->free_port(port);
  world.clock.advance(std::chrono::minutes(5));
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

}  // namespace
}  // namespace backstay::control
