#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

UpdateServiceRequest protection(bool on) {
  UpdateServiceRequest request;
  request.deletion_protection = on;
  return request;
}

TEST(DeletionProtectionTest, ADeletionIsRefusedUntilItIsTakenBack) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto change = world.commands->update_service(id, protection(true), world.admin);
  EXPECT_FALSE(change.operation) << "nothing of the server changes";
  const auto generation = world.service(id).generation;
  const auto refused = [&](const auto& call) {
    try {
      call();
      ADD_FAILURE() << "nothing was refused";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kConflict);
      EXPECT_NE(error.hint().find("deletionProtection"), std::string::npos);
    }
  };
  refused([&] { world.commands->delete_service(id, FinalBackup::kSkip, world.admin); });
  refused([&] { world.commands->preview_deletion(id, FinalBackup::kSkip, world.admin); });
  EXPECT_EQ(world.service(id).generation, generation);
  EXPECT_EQ(world.service(id).status.state, model::ServiceState::kSynchronized);

  const auto preview = world.commands->preview_update(id, protection(false), world.admin);
  EXPECT_EQ(preview.effects, std::vector<std::string>{"the service can be deleted again"});
  world.commands->update_service(id, protection(false), world.admin);
  for (const auto kind : {events::kServiceProtected, events::kServiceUnprotected}) {
    EXPECT_EQ(world.queries->events({.service_id = id, .names = {std::string(kind.name)}}, world.admin).size(), 1U);
  }
  world.commands->delete_service(id, FinalBackup::kSkip, world.admin);
  world.settle();
  EXPECT_THROW(world.service(id), core::Error);
}

TEST(DeletionProtectionTest, AServiceMayBeMadeWithItAndKeepsIt) {
  ControlWorld world;
  auto request = world.create_request();
  request.deletion_protection = true;
  const auto id = world.commands->create_service(request, world.admin).service.id;
  world.settle();
  UpdateServiceRequest rename;
  rename.name = "other";
  world.commands->update_service(id, rename, world.admin);
  EXPECT_TRUE(world.service(id).deletion_protection);
  EXPECT_THROW(world.commands->delete_service(id, FinalBackup::kRequired, world.admin), core::Error);
}

}  // namespace
}  // namespace backstay::control
