#include <gtest/gtest.h>

#include "control/archive_memory.h"
#include "control/testing/control_world.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class DestinationCommandsTest : public ::testing::Test {
 protected:
  DestinationCommandsTest() { world_.admin.may_delete = true; }

  model::Destination enter(const std::string& name, std::int64_t team, core::json::object config) {
    CreateDestinationRequest request;
    request.team_id = team;
    request.name = name;
    request.config = std::move(config);
    request.secrets = keys("old");
    return world_.commands->create_destination(request, world_.admin).destination;
  }
  model::Destination enter(const std::string& name, const std::string& url) {
    return enter(name, world_.team_id, {{"destinationPath", url}, {"endpointUrl", "https://s3.example.org"}});
  }
  static model::Secrets keys(const std::string& secret) {
    return {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret(secret)}};
  }
  model::Destination update(const std::string& id, const UpdateDestinationRequest& request) {
    return world_.commands->update_destination(id, request, world_.admin).destination;
  }
  model::Destination stored(const std::string& id) {
    return world_.database->read([&](auto& tx) { return metadata::Destinations(tx).require(id); });
  }
  template <typename Work>
  core::Error refusal(Work&& work) {
    try {
      work();
    } catch (const core::Error& error) {
      return error;
    }
    return {core::Code::kInternal, "nothing was refused"};
  }
  /// A service whose backups go there; there is a repository then.
  model::Service use(const model::Destination& destination) {
    auto request = world_.create_request();
    request.backups.emplace();
    request.backups->enabled = true;
    request.backups->destination_id = destination.id;
    auto service = world_.commands->create_service(request, world_.admin).service;
    world_.settle();
    world_.database->write([&](auto& tx) { metadata::Destinations(tx).remember_repository(destination.id, "repo-1"); });
    return service;
  }

  ControlWorld world_;
};

TEST_F(DestinationCommandsTest, KeepsWhatIsNotNamed) {
  const auto before =
      enter("mine", world_.team_id, {{"provider", "r2"}, {"accountId", "0a1b"}, {"destinationPath", "s3://bucket/a"}});
  EXPECT_EQ(before.endpoint_url, "https://0a1b.r2.cloudflarestorage.com");
  update(before.id, {.name = "ours"});
  auto now = stored(before.id);
  EXPECT_EQ(now.name, "ours");
  EXPECT_EQ(now.provider, "r2");
  EXPECT_EQ(now.secret_key.reveal(), "old");

  update(before.id, {.config = core::json::object{{"jurisdiction", "eu"}}, .secrets = keys("old")});
  now = stored(before.id);
  EXPECT_EQ(now.endpoint_url, "https://0a1b.eu.r2.cloudflarestorage.com") << "made anew from what was named";
  EXPECT_EQ(now.region, "auto");
  EXPECT_EQ(now.url, "s3://bucket/a");

  update(before.id, {.config = core::json::object{{"jurisdiction", nullptr}}, .secrets = keys("new")});
  now = stored(before.id);
  EXPECT_EQ(now.endpoint_url, "https://0a1b.r2.cloudflarestorage.com");
  EXPECT_EQ(now.secret_key.reveal(), "new");
}

TEST_F(DestinationCommandsTest, IsProbedBeforeItIsSaved) {
  const auto before = enter("mine", "s3://bucket/a");
  world_.gate.refuse("the keys are wrong");
  const auto error = refusal([&] { update(before.id, {.secrets = keys("new")}); });
  EXPECT_EQ(error.code(), core::Code::kStoreRefused);
  EXPECT_FALSE(error.fields().empty());
  EXPECT_EQ(stored(before.id).secret_key.reveal(), "old");
  EXPECT_EQ(update(before.id, {.name = "another name"}).name, "another name") << "for which nobody asks the store";
}

TEST_F(DestinationCommandsTest, RefusesNamesAndSettingsThatAreNone) {
  const auto before = enter("mine", "s3://bucket/a");
  EXPECT_EQ(refusal([&] { update(before.id, {.name = " "}); }).fields().at(0).pointer, "/name");
  const auto no_path =
      refusal([&] { update(before.id, {.config = core::json::object{{"destinationPath", nullptr}}}); });
  EXPECT_EQ(no_path.fields().at(0).pointer, "/config/destinationPath");
  const auto no_account =
      refusal([&] { update(before.id, {.config = core::json::object{{"provider", "r2"}, {"endpointUrl", nullptr}}}); });
  EXPECT_EQ(no_account.fields().at(0).pointer, "/config/accountId");
}

TEST_F(DestinationCommandsTest, GoesElsewhereWhileNothingLiesThere) {
  const auto before = enter("mine", "s3://bucket/a");
  world_.database->write([&](auto& tx) { metadata::Destinations(tx).remember_repository(before.id, "repo-1"); });
  update(before.id, {.config = core::json::object{{"destinationPath", "s3://bucket/b"}}, .secrets = keys("old")});
  EXPECT_EQ(stored(before.id).url, "s3://bucket/b");
  EXPECT_FALSE(world_.database->read([&](auto& tx) { return metadata::Destinations(tx).repository_id(before.id); }))
      << "the other place has another repository";
}

TEST_F(DestinationCommandsTest, StaysWhileBackupsLieThereUnlessTheRepositoryMovedToo) {
  const auto before = enter("mine", "s3://bucket/a");
  use(before);
  const UpdateDestinationRequest move{.config = core::json::object{{"destinationPath", "s3://bucket/b"}},
                                      .secrets = keys("new")};
  const auto error = refusal([&] { update(before.id, move); });
  EXPECT_EQ(error.code(), core::Code::kConflict);
  EXPECT_NE(error.message().find("the service 'orders'"), std::string::npos) << error.message();
  EXPECT_EQ(error.fields().at(0).pointer, "/config/destinationPath");
  EXPECT_EQ(stored(before.id).url, "s3://bucket/a");

  update(before.id, {.secrets = keys("new")});
  EXPECT_EQ(stored(before.id).secret_key.reveal(), "new") << "other keys are no other place";

  world_.gate.hold_repository("s3://bucket/b", "repo-1");
  update(before.id, move);
  EXPECT_EQ(stored(before.id).url, "s3://bucket/b");
  EXPECT_EQ(world_.database->read([&](auto& tx) { return metadata::Destinations(tx).repository_id(before.id); }),
            "repo-1");
}

TEST_F(DestinationCommandsTest, ThePlaceOfAnotherOneIsRefused) {
  const auto first = enter("first", "s3://bucket/a");
  const auto second = enter("second", "s3://bucket/b");
  const auto error = refusal([&] {
    update(second.id, {.config = core::json::object{{"destinationPath", first.url}}, .secrets = keys("new")});
  });
  EXPECT_EQ(error.code(), core::Code::kAlreadyExists);
}

TEST_F(DestinationCommandsTest, NewKeysOfTheOperatorReachThePartsOfTheTeams) {
  const auto operators =
      enter("everybody's", 0, {{"destinationPath", "s3://all/x"}, {"endpointUrl", "https://s3.a.b"}});
  const auto service = use(operators);
  const auto part = world_.service(service.id).backups.destination_id;
  ASSERT_NE(part, operators.id);
  update(operators.id, {.secrets = keys("new")});
  EXPECT_EQ(stored(part).secret_key.reveal(), "new");
  EXPECT_EQ(stored(part).url, fmt::format("s3://all/x/team-{}", world_.team_id));
}

TEST_F(DestinationCommandsTest, PartsStayWithTheirKeysWhenTheOperatorsPlaceMoves) {
  const auto operators =
      enter("everybody's", 0, {{"destinationPath", "s3://all/x"}, {"endpointUrl", "https://s3.a.b"}});
  const auto part = world_.service(use(operators).id).backups.destination_id;
  update(operators.id, {.config = core::json::object{{"destinationPath", "s3://all/y"}}, .secrets = keys("new")});
  EXPECT_EQ(stored(part).secret_key.reveal(), "old");
}

TEST_F(DestinationCommandsTest, OfItsPartOfTheOperatorsPlaceATeamChangesTheName) {
  const auto operators =
      enter("everybody's", 0, {{"destinationPath", "s3://all/x"}, {"endpointUrl", "https://s3.a.b"}});
  const auto part = world_.service(use(operators).id).backups.destination_id;
  Principal member;
  member.may_read = member.may_write = true;
  member.team_ids = {world_.team_id};
  const auto change = [&](const UpdateDestinationRequest& request) {
    return refusal([&] { world_.commands->update_destination(part, request, member); }).code();
  };
  EXPECT_EQ(change({.config = core::json::object{{"pathStyle", false}}}), core::Code::kForbidden);
  EXPECT_EQ(change({.secrets = keys("theirs")}), core::Code::kForbidden);
  EXPECT_EQ(stored(part).secret_key.reveal(), "old");
  world_.commands->update_destination(part, {.name = "ours"}, member);
  EXPECT_EQ(stored(part).name, "ours");
  update(part, {.secrets = keys("new")});
  EXPECT_EQ(stored(part).secret_key.reveal(), "new") << "an administrator changes it";
}

TEST_F(DestinationCommandsTest, NoOtherPlaceIsOpenedWithTheKeysOfThisOne) {
  const auto before = enter("mine", "s3://bucket/a");
  for (const auto* key : {"destinationPath", "endpointUrl"}) {
    const core::json::object config{{key, key == std::string_view("endpointUrl") ? "https://s3.a.b" : "s3://bucket/b"}};
    EXPECT_EQ(refusal([&] { update(before.id, {.config = config}); }).fields().size(), 2U) << key;
    const auto half = model::Secrets{{"accessKey", core::Secret("id")}};
    const auto error = refusal([&] { update(before.id, {.config = config, .secrets = half}); });
    ASSERT_EQ(error.fields().size(), 1U) << key;
    EXPECT_EQ(error.fields().front().pointer, "/secrets/secretKey");
    update(before.id, {.config = config, .secrets = keys("new")});
  }
  EXPECT_EQ(stored(before.id).url, "s3://bucket/b");
  EXPECT_EQ(stored(before.id).endpoint_url, "https://s3.a.b");
  update(before.id, {.config = core::json::object{{"region", "eu-west-1"}}});
  EXPECT_EQ(stored(before.id).secret_key.reveal(), "new") << "which stay for the same place";
}

TEST_F(DestinationCommandsTest, WhatIsLostStaysAsItIs) {
  auto place = enter("mine", "s3://bucket/a");
  place.lost_at = world_.clock.now();
  world_.database->write([&](auto& tx) { metadata::Destinations(tx).update(place); });
  EXPECT_EQ(refusal([&] { update(place.id, {.name = "found again"}); }).code(), core::Code::kConflict);
  EXPECT_TRUE(stored(place.id).lost_at);
}

TEST_F(DestinationCommandsTest, OnlyWhoMaySeeItChangesIt) {
  const auto operators = enter("everybody's", 0, {{"destinationPath", "s3://all/x"}});
  const auto others = enter("theirs", "s3://bucket/a");
  Principal member;
  member.may_read = member.may_write = true;
  member.team_ids = {world_.team_id};
  const auto change = [&](const std::string& id) {
    return refusal([&] { world_.commands->update_destination(id, {.name = "x"}, member); }).code();
  };
  EXPECT_EQ(change(operators.id), core::Code::kForbidden);
  member.team_ids = {world_.team_id + 1};
  EXPECT_EQ(change(others.id), core::Code::kNotFound);
}

TEST_F(DestinationCommandsTest, ADeletionSaysWhatNeedsIt) {
  const auto destination = enter("mine", "s3://bucket/a");
  use(destination);
  const auto error =
      refusal([&] { world_.commands->delete_destination(destination.id, world_.admin, Effect::kLasting); });
  EXPECT_EQ(error.code(), core::Code::kConflict);
  EXPECT_NE(error.message().find("'mine' is needed by the service 'orders', the backup"), std::string::npos)
      << error.message();
  const auto unused = enter("unused", "s3://bucket/b");
  world_.commands->delete_destination(unused.id, world_.admin, Effect::kLasting);
  EXPECT_EQ(refusal([&] { stored(unused.id); }).code(), core::Code::kNotFound);
}

}  // namespace
}  // namespace backstay::control
