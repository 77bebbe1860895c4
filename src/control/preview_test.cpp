#include "control/preview.h"

#include <gtest/gtest.h>

#include "control/idempotency.h"
#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/events.h"
#include "metadata/operations.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

std::string joined(const Preview& preview) {
  std::string text;
  for (const auto& effect : preview.effects) text += effect + "\n";
  return text;
}

bool tells(const Preview& preview, std::string_view what) { return joined(preview).find(what) != std::string::npos; }

/// What of the state a dry run could have touched.
std::string inventory(ControlWorld& world, const std::string& service_id) {
  return world.database->read([&](auto& tx) {
    const auto service = world.service(service_id);
    return fmt::format("{} {} {} {} {}", service.generation, service.name, metadata::Operations(tx).list({}).size(),
                       metadata::Events(tx).list({.limit = 0}).size(), metadata::Tokens(tx).keys().size());
  });
}

TEST(PreviewTest, ADeletionTellsWhatGoesAndWhatStays) {
  ControlWorld world;
  const auto with = world.make_service(true);
  const auto before = inventory(world, with.id);
  const auto required = world.commands->preview_deletion(with.id, FinalBackup::kRequired, world.admin);
  EXPECT_TRUE(tells(required, "a final backup is taken and confirmed; without it the data stays")) << joined(required);
  EXPECT_TRUE(tells(required, "its data is removed"));
  EXPECT_TRUE(tells(required, "stay for 7 days; until then it can be undeleted")) << joined(required);
  EXPECT_TRUE(tells(world.commands->preview_deletion(with.id, FinalBackup::kSkip, world.admin), "no final backup"));
  EXPECT_EQ(inventory(world, with.id), before);
  EXPECT_EQ(world.service(with.id).status.state, model::ServiceState::kSynchronized);
}

TEST(PreviewTest, ADeletionWithoutBackupsSaysThatNothingStays) {
  ControlWorld world;
  const auto service = world.make_service();
  EXPECT_TRUE(
      tells(world.commands->preview_deletion(service.id, FinalBackup::kRequired, world.admin), "nothing of it stays"));
  world.commands->delete_service(service.id, FinalBackup::kRequired, world.admin);
  EXPECT_TRUE(tells(world.commands->preview_deletion(service.id, FinalBackup::kRequired, world.admin),
                    "being deleted already"));
}

TEST(PreviewTest, AChangeTellsWhatItDoesAndRefusesWhatTheChangeWould) {
  ControlWorld world;
  const auto service = world.make_service();
  const auto before = inventory(world, service.id);
  UpdateServiceRequest change;
  EXPECT_TRUE(tells(world.commands->preview_update(service.id, change, world.admin), "nothing changes"));
  change.name = "renamed";
  change.secrets = model::Secrets{{"password", core::Secret("not-to-be-shown")}};
  change.pause = true;
  const auto preview = world.commands->preview_update(service.id, change, world.admin);
  EXPECT_TRUE(tells(preview, "is called 'renamed'"));
  EXPECT_TRUE(tells(preview, "the secret 'password' is changed"));
  EXPECT_TRUE(tells(preview, "the server stops"));
  EXPECT_FALSE(tells(preview, "not-to-be-shown"));
  EXPECT_EQ(inventory(world, service.id), before);
  change.plan = PlanRequest{99, {}};
  EXPECT_THROW(world.commands->preview_update(service.id, change, world.admin), core::Error);
}

TEST(PreviewTest, ANameThatIsTakenIsRefusedAsByTheChange) {
  ControlWorld world;
  world.make_service();
  auto request = world.create_request("other");
  const auto other = world.commands->create_service(request, world.admin).service;
  world.settle();
  const auto before = inventory(world, other.id);
  UpdateServiceRequest rename;
  rename.name = "orders";
  try {
    world.commands->preview_update(other.id, rename, world.admin);
    FAIL() << "it was not refused";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kAlreadyExists);
    ASSERT_EQ(error.fields().size(), 1u);
    EXPECT_EQ(error.fields()[0].pointer, "/name");
  }
  rename.name = "free";
  EXPECT_TRUE(tells(world.commands->preview_update(other.id, rename, world.admin), "is called 'free'"));
  EXPECT_EQ(inventory(world, other.id), before);
}

TEST(PreviewTest, ADryRunOfARemovalChangesNothingAndRefusesTheSame) {
  ControlWorld world;
  const auto token = world.commands->create_token({"ci", {"read"}, true, {}, {}}, world.admin);
  EXPECT_TRUE(tells(world.commands->delete_token(token.token.id, world.admin, Effect::kDryRun), "'ci' is revoked"));
  EXPECT_TRUE(world.commands->authenticate(token.text.reveal()));
  EXPECT_THROW(world.commands->delete_token(world.random.uuid(), world.admin, Effect::kDryRun), core::Error);
  world.make_service(true);
  const auto used = world.queries->destinations(world.team_id, world.admin).at(0);
  EXPECT_THROW(world.commands->delete_destination(used.id, world.admin, Effect::kDryRun), core::Error);
}

TEST(PreviewTest, UndeletingTakesEffectWithItsKey) {
  ControlWorld world;
  const auto service = world.make_service(true);
  world.commands->delete_service(service.id, FinalBackup::kRequired, world.admin);
  world.settle();
  IdempotencyGate gate(*world.database, world.clock, world.random);
  const auto begun = gate.begin("caller", "key", core::Secret("undelete"));
  auto principal = world.admin;
  principal.terms = std::make_shared<const RequestTerms>(RequestTerms{.generations = {}, .key = begun.key});
  world.commands->undelete_service(service.id, principal);
  gate.end_leases();
  const auto again = gate.begin("caller", "key", core::Secret("undelete"));
  EXPECT_EQ(again.stage, KeyedRequest::Stage::kEffective);
  EXPECT_EQ(again.key.subject, service.id);
}

}  // namespace
}  // namespace backstay::control
