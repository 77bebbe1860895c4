// A name belongs to one service of a team that is not deleted.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

core::Error refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error;
  }
  return {core::Code::kInternal, "nothing was refused"};
}

UpdateServiceRequest named(const std::string& name) {
  UpdateServiceRequest request;
  request.name = name;
  return request;
}

TEST(ServiceNamesTest, ARenameToATakenNameIsRefusedAndChangesNothing) {
  ControlWorld world;
  const auto id = world.make_service().id;
  world.commands->create_service(world.create_request("billing"), world.admin);
  world.settle();
  const auto error = refusal([&] { world.commands->update_service(id, named("billing"), world.admin); });
  EXPECT_EQ(error.code(), core::Code::kAlreadyExists);
  ASSERT_EQ(error.fields().size(), 1U);
  EXPECT_EQ(error.fields().front().pointer, "/name");
  EXPECT_EQ(world.service(id).name, "orders");
  EXPECT_EQ(world.count_events(id, "service.renamed"), 0U);
}

TEST(ServiceNamesTest, AnUndeletionOntoATakenNameSaysWhatToDo) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  world.settle();
  const auto other = world.make_service().id;
  const auto error = refusal([&] { world.commands->undelete_service(id, world.admin); });
  EXPECT_EQ(error.code(), core::Code::kAlreadyExists);
  EXPECT_NE(error.hint().find("rename"), std::string::npos) << error.hint();
  EXPECT_EQ(world.service(id).status.state, model::ServiceState::kDeleted);

  world.commands->update_service(other, named("billing"), world.admin);
  world.commands->undelete_service(id, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, model::ServiceState::kSynchronized);
}

}  // namespace
}  // namespace backstay::control
