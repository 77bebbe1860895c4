#include "control/webhook_dispatch.h"

#include <functional>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "control/testing/fake_notifier.h"
#include "control/webhook_commands.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class WebhookDispatchTest : public ::testing::Test {
 protected:
  model::Webhook hook(std::vector<std::string> events = {}, std::optional<std::int64_t> team = {}) {
    return commands_.create({team.value_or(world_.team_id), "hook", "https://example.org/", std::move(events)},
                            world_.admin);
  }
  void happen(EventKind kind, std::optional<std::int64_t> team = {}) {
    world_.database->write([&](auto& tx) { world_.log->record(tx, team.value_or(world_.team_id), kind, "so it is"); });
  }
  /// A process of its own would find the same state.
  void turn() { WebhookDispatch({*world_.database, notifier_, world_.clock, world_.random}).turn({}); }
  /// The types of what was sent.
  std::string sent() {
    std::string types;
    for (const auto& message : notifier_.sent) {
      types += std::string(core::parse_json(message.body).at("type").as_string()) + " ";
    }
    return types;
  }
  std::vector<model::Delivery> deliveries(const std::string& id) {
    return commands_.deliveries(id, 0, 0, world_.admin);
  }
  core::Code refusal(const std::function<void()>& act) {
    try {
      act();
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  }

  testing::ControlWorld world_;
  testing::FakeNotifier notifier_;
  WebhookCommands commands_{{*world_.database, notifier_, world_.clock, world_.random}};
};

TEST_F(WebhookDispatchTest, SendsEachEventOnceInOrder) {
  const auto made = hook({"backup.*", "wal.gap"});
  happen(events::kBackupStarted);
  happen(events::kStorageHigh);
  happen(events::kWalGap);
  turn();
  turn();
  EXPECT_EQ(sent(), "backup.started wal.gap ");
  const auto body = core::parse_json(notifier_.sent.at(0).body);
  EXPECT_EQ(body.at("data").at("body"), "so it is");
  EXPECT_EQ(body.at("data").at("teamId"), world_.team_id);
  const auto log = deliveries(made.id);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].state, model::DeliveryState::kDelivered);
  EXPECT_EQ(log[0].last_status, 200);
  EXPECT_EQ(log[0].id, notifier_.sent.at(1).id);
}

TEST_F(WebhookDispatchTest, TellsATeamOfItsOwnEventsAndTheOperatorOfAll) {
  const auto other = world_.commands->create_team({"other", {}}, world_.admin).id;
  hook({"backup.*"}, other);
  happen(events::kBackupStarted);
  turn();
  EXPECT_EQ(sent(), "");
  hook({"backup.*"}, 0);
  happen(events::kBackupStored);
  turn();
  EXPECT_EQ(sent(), "backup.stored ") << "and nothing from before";
}

TEST_F(WebhookDispatchTest, TriesAgainForAboutADayAndThenDisablesTheWebhook) {
  const auto made = hook({"backup.failed"});
  happen(events::kBackupFailed);
  notifier_.answer = {500, "the receiver answered 500"};
  turn();
  turn();
  EXPECT_EQ(notifier_.sent.size(), 1u) << "not before its time";
  world_.clock.advance(seconds(5));
  turn();
  EXPECT_EQ(notifier_.sent.size(), 2u);
  EXPECT_TRUE(commands_.webhook(made.id, world_.admin).failing_since);
  for (int hour = 0; hour < 24; ++hour) {
    world_.clock.advance(hours(1));
    turn();
  }
  EXPECT_GE(notifier_.sent.size(), 8u);
  world_.clock.advance(hours(24));
  for (int i = 0; i < 5; ++i) {
    turn();
    world_.clock.advance(hours(8));
  }
  EXPECT_EQ(notifier_.sent.size(), 11u);
  for (const auto& message : notifier_.sent) EXPECT_EQ(message.id, notifier_.sent.front().id);
  EXPECT_EQ(deliveries(made.id).at(0).state, model::DeliveryState::kFailed);
  const auto disabled = commands_.webhook(made.id, world_.admin);
  EXPECT_FALSE(disabled.enabled);
  EXPECT_EQ(disabled.disabled_reason, "the receiver answered 500");
  const auto events = world_.queries->events({.names = {"webhook.disabled"}}, world_.admin);
  EXPECT_EQ(events.size(), 1u);
}

TEST_F(WebhookDispatchTest, IsDisabledAtOnceWhereTheReceiverSaysThatItIsGone) {
  const auto made = hook({"backup.*"});
  happen(events::kBackupFailed);
  notifier_.answer = {410, "the receiver answered 410"};
  turn();
  EXPECT_FALSE(commands_.webhook(made.id, world_.admin).enabled);
  happen(events::kBackupStarted);
  turn();
  notifier_.answer = {200, ""};
  EXPECT_EQ(refusal([&] { commands_.test(made.id, world_.admin); }), core::Code::kConflict);
  commands_.update(made.id, {.enabled = true}, world_.admin);
  happen(events::kBackupStored);
  turn();
  EXPECT_EQ(sent(), "backup.failed backup.stored ") << "what happened meanwhile is not sent";
}

TEST_F(WebhookDispatchTest, ASuccessEndsTheTrouble) {
  const auto made = hook({"backup.*"});
  happen(events::kBackupFailed);
  notifier_.answer = {0, "no connection"};
  turn();
  EXPECT_EQ(deliveries(made.id).at(0).last_error, "no connection");
  notifier_.answer = {200, ""};
  world_.clock.advance(seconds(5));
  turn();
  EXPECT_FALSE(commands_.webhook(made.id, world_.admin).failing_since);
  EXPECT_EQ(deliveries(made.id).at(0).attempts, 2);
}

TEST_F(WebhookDispatchTest, TestsAndSendsAgainWithTheSameId) {
  const auto made = hook();
  turn();
  notifier_.sent.clear();
  const auto test = commands_.test(made.id, world_.admin);
  turn();
  EXPECT_EQ(sent(), "webhook.test ");
  EXPECT_EQ(commands_.redeliver(made.id, test.id, world_.admin).state, model::DeliveryState::kPending);
  turn();
  ASSERT_EQ(notifier_.sent.size(), 2u);
  EXPECT_EQ(notifier_.sent[0].id, notifier_.sent[1].id);
  EXPECT_EQ(refusal([&] { commands_.redeliver(made.id, world_.random.uuid(), world_.admin); }), core::Code::kNotFound);
}

TEST_F(WebhookDispatchTest, JudgesWhatIsAskedFor) {
  notifier_.refused = "http://169.254.169.254/";
  const auto create = [&](const std::string& url, std::vector<std::string> events, const Principal& who) {
    return refusal([&] { commands_.create({world_.team_id, "hook", url, std::move(events)}, who); });
  };
  EXPECT_EQ(create(notifier_.refused, {}, world_.admin), core::Code::kEgressRefused);
  EXPECT_EQ(create("https://example.org/", {"backup.invented"}, world_.admin), core::Code::kInvalidArgument);
  auto stranger = world_.admin;
  stranger.admin = stranger.all_teams = false;
  EXPECT_EQ(create("https://example.org/", {}, stranger), core::Code::kNotFound);
  const auto made = hook();
  EXPECT_EQ(refusal([&] { commands_.webhook(made.id, stranger); }), core::Code::kNotFound);
  EXPECT_TRUE(commands_.webhooks({}, stranger).empty());
  for (std::size_t i = 1; i < WebhookCommands::kMostOfTeam; ++i) hook();
  EXPECT_EQ(create("https://example.org/", {}, world_.admin), core::Code::kConflict);
}

TEST_F(WebhookDispatchTest, DeadReceiversWithABacklogDoNotHoldUpOthers) {
  notifier_.dead = "https://dead.example.org/";
  std::vector<std::int64_t> teams;
  for (int i = 0; i < 4; ++i) {
    teams.push_back(world_.commands->create_team({fmt::format("dead {}", i), {}}, world_.admin).id);
    for (int j = 0; j < 2; ++j) commands_.create({teams.back(), "dead", notifier_.dead, {"wal.gap"}}, world_.admin);
  }
  for (const auto team : teams) {
    for (int i = 0; i < 30; ++i) happen(events::kWalGap, team);
  }
  turn();
  hook({"backup.started"});
  happen(events::kBackupStarted);
  world_.clock.advance(seconds(20));
  notifier_.sent.clear();
  turn();
  turn();
  EXPECT_NE(sent().find("backup.started"), std::string::npos) << sent();
}

TEST_F(WebhookDispatchTest, WhatWaitsWhenAWebhookIsDisabledIsNotSentLater) {
  for (const bool by_hand : {true, false}) {
    const auto made = hook({"backup.*"});
    happen(events::kBackupStarted);
    happen(events::kBackupStored);
    notifier_.answer = {by_hand ? 500 : 410, "no"};
    turn();
    if (by_hand) commands_.update(made.id, {.enabled = false}, world_.admin);
    for (const auto& delivery : deliveries(made.id)) {
      EXPECT_EQ(delivery.state, model::DeliveryState::kFailed);
      EXPECT_TRUE(delivery.finished_at) << "or it would never be pruned";
      EXPECT_FALSE(delivery.last_error.empty());
    }
    notifier_.answer = {200, ""};
    notifier_.sent.clear();
    commands_.update(made.id, {.enabled = true}, world_.admin);
    world_.clock.advance(hours(24));
    happen(events::kBackupFailed);
    turn();
    EXPECT_EQ(sent(), "backup.failed ");
    commands_.remove(made.id, world_.admin);
    notifier_.sent.clear();
  }
}

TEST_F(WebhookDispatchTest, AWebhookOfAllTeamsIsTheAdministratorsAlone) {
  const auto made = hook({}, 0);
  const auto test = commands_.test(made.id, world_.admin);
  auto other = world_.admin;
  other.admin = false;
  other.may_delete = true;
  EXPECT_EQ(refusal([&] { commands_.webhook(made.id, other); }), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands_.test(made.id, other); }), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands_.redeliver(made.id, test.id, other); }), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands_.delivery(test.id, other); }), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands_.deliveries(made.id, 0, 0, other); }), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands_.update(made.id, {.name = "mine"}, other); }), core::Code::kNotFound);
  EXPECT_EQ(refusal([&] { commands_.remove(made.id, other); }), core::Code::kNotFound);
  EXPECT_TRUE(commands_.webhooks({}, other).empty());
}

TEST_F(WebhookDispatchTest, OneTestAtATimeWaits) {
  const auto made = hook();
  turn();
  commands_.test(made.id, world_.admin);
  EXPECT_EQ(refusal([&] { commands_.test(made.id, world_.admin); }), core::Code::kConflict);
  turn();
  commands_.test(made.id, world_.admin);
}

TEST_F(WebhookDispatchTest, ARemovedWebhookIsToldNothingMore) {
  const auto made = hook();
  EXPECT_FALSE(commands_.remove(made.id, world_.admin, Effect::kDryRun).effects.empty());
  EXPECT_EQ(commands_.webhooks({}, world_.admin).size(), 1u);
  commands_.remove(made.id, world_.admin);
  happen(events::kBackupStarted);
  turn();
  EXPECT_EQ(sent(), "");
}

}  // namespace
}  // namespace backstay::control
