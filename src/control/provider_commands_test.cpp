#include "control/provider_commands.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

namespace json = core::json;
using testing::ControlWorld;

json::object redis(const std::string& version = "v1") {
  auto body = core::parse_json(R"({
    "name": "redis", "author": "a", "category": "databases", "displayName": "Redis", "iconUrl": "", "description": "d",
    "configSchema": {"type": "object"}, "secretsSchema": {"type": "object"}, "detailsSchema": {"type": "object"},
    "plans": [{"id": 0, "name": "small", "description": "", "parameters": {
      "storage": {"pricedAs": "storage-mib", "schema": {"type": "integer", "default": 1024}}}}],
    "backend": {"api": {"endpoint": "https://redis.example/v1", "secret": "s3cret"}}})")
                  .as_object();
  body["schemaVersion"] = version;
  return body;
}

json::object team_scope(std::initializer_list<std::int64_t> teams) {
  return {{"type", "team"}, {"teamIds", json::array(teams.begin(), teams.end())}};
}

class ProviderCommandsTest : public ::testing::Test {
 protected:
  ProviderCommandsTest() {
    other_team_ = world_.commands->create_team({"other", std::nullopt}, world_.admin).id;
    member_.token_name = "member";
    member_.may_read = member_.may_write = member_.may_delete = true;
    member_.team_ids = {world_.team_id};
  }

  ProviderCommands& commands() { return *world_.provider_commands; }

  core::Error refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error;
    }
    return {core::Code::kInternal, "nothing was refused"};
  }

  std::vector<std::string> listed(const Principal& principal, std::optional<std::int64_t> team = std::nullopt) {
    std::vector<std::string> names;
    for (const auto& offer : world_.queries->providers(team, principal)) {
      if (offer.kind == "rest") names.push_back(offer.name + "/" + offer.version);
    }
    return names;
  }

  core::Secret secret() { return world_.registry->find("redis", "v1")->backend->secret; }

  ControlWorld world_;
  Principal member_;
  std::int64_t other_team_ = 0;
};

using Names = std::vector<std::string>;

TEST_F(ProviderCommandsTest, APublishedProviderIsOfferedAtOnce) {
  const auto made = commands().create(redis(), world_.admin);
  EXPECT_EQ(made.name, "redis");
  EXPECT_TRUE(made.created_at);
  EXPECT_EQ(listed(world_.admin), Names{"redis/v1"});
  EXPECT_EQ(world_.registry->find("redis", "")->version, "v1");
  EXPECT_EQ(secret().reveal(), "s3cret");
}

TEST_F(ProviderCommandsTest, ItIsThereAfterARestart) {
  commands().create(redis(), world_.admin);
  ControlWorld again(world_.directory, world_.provider);
  EXPECT_FALSE(again.registry->find("redis", "v1"));
  again.tick();
  EXPECT_EQ(again.registry->find("redis", "v1")->backend->secret.reveal(), "s3cret");
}

TEST_F(ProviderCommandsTest, AnExistingOneIsNotCreatedAgain) {
  commands().create(redis(), world_.admin);
  const int probes = world_.backends.probes();
  EXPECT_EQ(refusal([&] { commands().create(redis(), world_.admin); }).code(), core::Code::kAlreadyExists);
  EXPECT_EQ(world_.backends.probes(), probes);
  commands().create(redis("v2"), world_.admin);
  EXPECT_EQ(listed(world_.admin), (Names{"redis/v1", "redis/v2"}));
}

TEST_F(ProviderCommandsTest, UpsertMakesReplacesAndRepeats) {
  commands().upsert(redis(), world_.admin);
  const auto revision = [&] {
    return world_.database->read([](auto& tx) { return metadata::Providers(tx).revision(); });
  };
  const auto before = revision();
  const auto created = world_.registry->find("redis", "v1")->created_at;
  commands().upsert(redis(), world_.admin);
  EXPECT_EQ(revision(), before) << "the same again changes nothing";
  auto changed = redis();
  changed["displayName"] = "Redis 7";
  changed["backend"] = {{"api", {{"endpoint", "https://redis.example/v1"}}}};
  world_.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(commands().upsert(changed, world_.admin).provider.display_name, "Redis 7");
  EXPECT_TRUE(secret().empty()) << "what PUT does not name is not there";
  EXPECT_EQ(world_.registry->find("redis", "v1")->created_at, created);
}

TEST_F(ProviderCommandsTest, PatchReplacesOnlyWhatItNames) {
  commands().create(redis(), world_.admin);
  const auto changed = commands().update("redis", "v1", {{"description", "new"}}, world_.admin).provider;
  EXPECT_EQ(changed.description, "new");
  EXPECT_EQ(changed.display_name, "Redis");
  EXPECT_EQ(secret().reveal(), "s3cret");
  EXPECT_EQ(refusal([&] { commands().update("redis", "v1", {{"plans", json::array{}}}, world_.admin); })
                .fields()
                .at(0)
                .pointer,
            "/plans");
  EXPECT_EQ(
      refusal([&] { commands().update("redis", "v1", {{"name", "valkey"}}, world_.admin); }).fields().at(0).pointer,
      "/name");
  EXPECT_EQ(refusal([&] { commands().update("redis", "v9", {}, world_.admin); }).code(), core::Code::kNotFound);
}

TEST_F(ProviderCommandsTest, ADryRunTellsWhatChangesAndKeepsNothing) {
  EXPECT_EQ(commands().upsert(redis(), world_.admin, Effect::kDryRun).preview.effects.front(),
            "the provider 'redis' version 'v1' is published");
  EXPECT_EQ(listed(world_.admin), Names{});
  commands().create(redis(), world_.admin);
  const auto told = [&](const json::object& change) {
    return commands().update("redis", "v1", change, world_.admin, Effect::kDryRun).preview.effects.front();
  };
  EXPECT_EQ(told({{"description", "new"}}), "the provider 'redis' version 'v1' is changed: description");
  EXPECT_EQ(told({{"displayName", "Redis"}}), "nothing changes");
  EXPECT_EQ(refusal([&] { told({{"plans", json::array{}}}); }).fields().at(0).pointer, "/plans");
  EXPECT_NE(world_.registry->find("redis", "v1")->description, "new");
}

TEST_F(ProviderCommandsTest, WhatWasSeenIsAskedForInTheTransaction) {
  commands().create(redis(), world_.admin);
  const ProviderCommands::Precondition moved = [](const model::ProviderDefinition& offer) {
    EXPECT_EQ(offer.display_name, "Redis");
    throw core::Error(core::Code::kPreconditionFailed, "it was changed meanwhile");
  };
  EXPECT_EQ(refusal([&] {
              commands().update("redis", "v1", {{"description", "new"}}, world_.admin, Effect::kLasting, moved);
            }).code(),
            core::Code::kPreconditionFailed);
  EXPECT_EQ(refusal([&] { commands().remove("redis", "v1", world_.admin, Effect::kLasting, moved); }).code(),
            core::Code::kPreconditionFailed);
  EXPECT_NE(world_.registry->find("redis", "v1")->description, "new");
}

TEST_F(ProviderCommandsTest, ASecretDoesNotFollowToAnotherAddress) {
  commands().create(redis(), world_.admin);
  commands().update("redis", "v1", {{"backend", {{"api", {{"endpoint", "https://redis.example/v1"}}}}}}, world_.admin);
  EXPECT_EQ(secret().reveal(), "s3cret");
  commands().update("redis", "v1", {{"backend", {{"api", {{"endpoint", "https://evil.example/v1"}}}}}}, world_.admin);
  EXPECT_TRUE(secret().empty());
}

TEST_F(ProviderCommandsTest, RemovedMeansGone) {
  commands().create(redis(), world_.admin);
  commands().remove("redis", "v1", world_.admin);
  EXPECT_EQ(listed(world_.admin), Names{});
  EXPECT_EQ(refusal([&] { commands().remove("redis", "v1", world_.admin); }).code(), core::Code::kNotFound);
}

TEST_F(ProviderCommandsTest, WhatIsBuiltInStaysAsItIs) {
  auto body = redis();
  body["name"] = "postgres";
  body["schemaVersion"] = "v2";
  EXPECT_EQ(refusal([&] { commands().create(body, world_.admin); }).code(), core::Code::kConflict);
  EXPECT_EQ(refusal([&] { commands().upsert(body, world_.admin); }).code(), core::Code::kConflict);
  EXPECT_EQ(refusal([&] { commands().update("postgres", "v1", {}, world_.admin); }).code(), core::Code::kConflict);
  EXPECT_EQ(refusal([&] { commands().remove("postgres", "v1", world_.admin); }).code(), core::Code::kConflict);
}

TEST_F(ProviderCommandsTest, OnlyAnAdministratorPublishesForEverybody) {
  EXPECT_EQ(refusal([&] { commands().create(redis(), member_); }).code(), core::Code::kForbidden);
  auto reader = member_;
  reader.may_write = false;
  auto body = redis();
  body["scope"] = team_scope({world_.team_id});
  EXPECT_EQ(refusal([&] { commands().create(body, reader); }).code(), core::Code::kForbidden);
  commands().create(body, member_);
  EXPECT_EQ(refusal([&] { commands().update("redis", "v1", {{"scope", {{"type", "global"}}}}, member_); }).code(),
            core::Code::kForbidden);
  body["scope"] = team_scope({world_.team_id, other_team_});
  EXPECT_EQ(refusal([&] { commands().upsert(body, member_); }).code(), core::Code::kForbidden);
}

TEST_F(ProviderCommandsTest, AProviderOfATeamIsNotThereForOthers) {
  auto body = redis();
  body["scope"] = team_scope({other_team_});
  commands().create(body, world_.admin);
  EXPECT_EQ(listed(member_), Names{});
  EXPECT_EQ(listed(world_.admin, world_.team_id), Names{});
  EXPECT_EQ(listed(world_.admin, other_team_), Names{"redis/v1"});
  EXPECT_EQ(refusal([&] { commands().update("redis", "v1", {}, member_); }).code(), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands().remove("redis", "v1", member_); }).code(), core::Code::kNotFound);
  auto service = world_.create_request();
  service.provider = {"redis", "v1"};
  EXPECT_EQ(refusal([&] { world_.commands->create_service(service, world_.admin); }).code(),
            core::Code::kUnknownProvider);
}

TEST_F(ProviderCommandsTest, AScopeNamesTeamsThatExist) {
  auto body = redis();
  body["scope"] = team_scope({77});
  EXPECT_EQ(refusal([&] { commands().create(body, world_.admin); }).fields().at(0).pointer, "/scope/teamIds");
}

TEST_F(ProviderCommandsTest, AnAddressThatMayNotBeReachedIsRefused) {
  world_.backends.refuse(core::Error(core::Code::kEgressRefused, "169.254.169.254 is a metadata address"));
  const auto error = refusal([&] { commands().create(redis(), world_.admin); });
  EXPECT_EQ(error.code(), core::Code::kEgressRefused);
  EXPECT_EQ(error.fields().at(0).pointer, "/backend/api/endpoint");
  EXPECT_EQ(listed(world_.admin), Names{});
}

TEST_F(ProviderCommandsTest, ABackendMayComeAfterItsProvider) {
  world_.backends.silence("no answer");
  commands().create(redis(), world_.admin);
  const auto events = world_.queries->events({}, world_.admin);
  EXPECT_EQ(events.front().name, "provider.published");
  EXPECT_NE(events.front().body.find("no answer"), std::string::npos);
}

}  // namespace
}  // namespace backstay::control
