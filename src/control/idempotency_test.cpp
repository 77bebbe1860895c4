#include "control/idempotency.h"

#include <gtest/gtest.h>

#include "control/membership.h"
#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/servers.h"

namespace backstay::control {
namespace {

using Stage = KeyedRequest::Stage;

class IdempotencyTest : public ::testing::Test {
 protected:
  KeyedRequest begin(const std::string& request = "r") { return gate_.begin("token", "k", core::Secret(request)); }
  core::Code refusal(const std::string& request = "r") {
    try {
      static_cast<void>(begin(request));
    } catch (const core::Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "was not refused";
    return core::Code::kInternal;
  }
  Principal with(const IdempotencyKey& key) {
    Principal principal = world_.admin;
    principal.terms = std::make_shared<const RequestTerms>(RequestTerms{.generations = {}, .key = key});
    return principal;
  }

  testing::ControlWorld world_;
  IdempotencyGate gate_{*world_.database, world_.clock, world_.random};
};

TEST_F(IdempotencyTest, AnswersARepetitionWithTheFirstAnswer) {
  const auto first = begin();
  EXPECT_EQ(first.stage, Stage::kNew);
  gate_.finish(first.key, 200, core::Secret("made"));
  const auto again = begin();
  EXPECT_EQ(again.stage, Stage::kAnswered);
  EXPECT_EQ(again.key.answer.reveal(), "made");
  EXPECT_EQ(again.key.status, 200);
}

TEST_F(IdempotencyTest, RefusesAnotherRequestWithTheSameKey) {
  const auto first = begin();
  EXPECT_EQ(refusal("other"), core::Code::kIdempotencyKeyReused);
  gate_.finish(first.key, 200, core::Secret("made"));
  EXPECT_EQ(refusal("other"), core::Code::kIdempotencyKeyReused);
}

TEST_F(IdempotencyTest, LetsOneAttemptWorkAtATime) {
  const auto first = begin();
  EXPECT_EQ(refusal(), core::Code::kConflict);
  gate_.abandon(first.key);
  EXPECT_EQ(begin().stage, Stage::kNew) << "what was refused may be sent again";
}

TEST_F(IdempotencyTest, KeepsCallersApart) {
  const auto first = begin();
  gate_.finish(first.key, 200, core::Secret("made"));
  EXPECT_EQ(gate_.begin("other token", "k", core::Secret("other")).stage, Stage::kNew);
}

TEST_F(IdempotencyTest, ForgetsAKeyAfterADay) {
  gate_.finish(begin().key, 200, core::Secret("made"));
  world_.clock.advance(IdempotencyGate::kKept - std::chrono::seconds(1));
  EXPECT_EQ(begin().stage, Stage::kAnswered);
  world_.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(begin("other").stage, Stage::kNew);
}

TEST_F(IdempotencyTest, StartsAnewWhatWasKilledBeforeItTookEffect) {
  static_cast<void>(begin());
  gate_.end_leases();
  EXPECT_EQ(begin().stage, Stage::kNew);
}

TEST_F(IdempotencyTest, EndsTheLeasesOfAKilledRunUnlessAnotherServerIsThere) {
  const auto enter = [&](const std::string& id) {
    return world_.database->write([&](auto& tx) { return metadata::Servers(tx).enter(id, world_.clock.now()); });
  };
  const std::string own = MembershipConfig().server_id;
  enter(own);  // the run that was killed
  const auto other = enter("other");
  static_cast<void>(begin());
  gate_.end_leases_if_alone(own);
  EXPECT_EQ(refusal(), core::Code::kConflict) << "it may be the other one's";
  world_.database->write([&](auto& tx) { metadata::Servers(tx).retire(other, std::nullopt, world_.clock.now()); });
  gate_.end_leases_if_alone(own);
  EXPECT_EQ(begin().stage, Stage::kNew);
}

TEST_F(IdempotencyTest, WritesNothingForAnAttemptThatLostItsKey) {
  const auto slow = begin();
  world_.clock.advance(IdempotencyGate::kLease);
  const auto second = begin();
  EXPECT_EQ(second.stage, Stage::kNew);
  EXPECT_THROW(world_.commands->create_service(world_.create_request("slow"), with(slow.key)), core::Error);
  EXPECT_TRUE(world_.queries->services({}, world_.admin).empty());
  world_.commands->create_service(world_.create_request("second"), with(second.key));
  EXPECT_EQ(world_.queries->services({}, world_.admin).size(), 1U);
}

TEST_F(IdempotencyTest, KnowsWhatWasMadeWhenTheAnswerWasLost) {
  const auto first = begin();
  const auto made = world_.commands->create_service(world_.create_request(), with(first.key));
  EXPECT_EQ(refusal(), core::Code::kConflict) << "the first attempt may still answer";
  gate_.abandon(first.key);
  const auto again = begin();
  EXPECT_EQ(again.stage, Stage::kEffective);
  EXPECT_EQ(again.key.subject, made.service.id);
}

TEST_F(IdempotencyTest, TakesEffectWithEveryCreation) {
  const auto effective = [&](const std::string& name, const auto& create) {
    const auto begun = gate_.begin("token", name, core::Secret("r"));
    create(with(begun.key));
    gate_.end_leases();
    EXPECT_EQ(gate_.begin("token", name, core::Secret("r")).stage, Stage::kEffective) << name;
  };
  effective("team", [&](const auto& by) { world_.commands->create_team({.name = "t", .slug = std::nullopt}, by); });
  effective("token", [&](const auto& by) {
    CreateTokenRequest request;
    request.name = "t";
    request.scopes = {"read"};
    world_.commands->create_token(request, by);
  });
  effective("destination", [&](const auto& by) {
    CreateDestinationRequest request;
    request.team_id = world_.team_id;
    request.name = "d";
    request.config = {{"destinationPath", "file:///somewhere"}};
    world_.commands->create_destination(request, by);
  });
  const auto service = world_.make_service(true);
  effective("backup", [&](const auto& by) { world_.commands->schedule_backup(service.id, by); });
}

TEST_F(IdempotencyTest, ChangesOnlyTheGenerationThatWasSeen) {
  const auto service = world_.make_service();
  const auto at = [&](std::int64_t generation) {
    Principal principal = world_.admin;
    principal.terms =
        std::make_shared<const RequestTerms>(RequestTerms{.generations = {{generation}}, .key = std::nullopt});
    return principal;
  };
  UpdateServiceRequest rename;
  rename.name = "renamed";
  EXPECT_THROW(world_.commands->update_service(service.id, rename, at(service.generation + 7)), core::Error);
  const auto changed = world_.commands->update_service(service.id, rename, at(service.generation));
  EXPECT_THROW(world_.commands->update_service(service.id, rename, at(service.generation)), core::Error);
  EXPECT_EQ(world_.service(service.id).generation, changed.service.generation);
}

}  // namespace
}  // namespace backstay::control
