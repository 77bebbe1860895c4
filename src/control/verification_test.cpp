// Verifying backups: on demand, by policy, and what becomes of a backup whose restore does not work.
#include <gtest/gtest.h>

#include "control/retention_question.h"
#include "control/testing/control_world.h"
#include "control/verification_commands.h"
#include "control/verification_schedule.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/verification_turns.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using testing::ControlWorld;

class VerificationTest : public ::testing::Test {
 protected:
  VerificationTest() : service_(world_.make_service(true)) {}

  model::Backup take_backup() {
    const auto id = world_.commands->schedule_backup(service_.id, world_.admin).id;
    world_.settle();
    return backup(id);
  }
  /// Nobody sees what it was made of.
  model::Backup take_dump() {
    auto taken = take_backup();
    taken.mechanism = model::BackupMechanism::kLogical;
    world_.database->write([&](auto& tx) {
      metadata::Backups(tx).remove(taken.id);
      metadata::Backups(tx).insert(taken);
    });
    return taken;
  }
  model::Backup backup(const std::string& id) { return world_.queries->backup(id, world_.admin); }
  model::Operation operation(const std::string& id) { return world_.queries->operation(id, world_.admin); }
  VerificationCommands commands() { return VerificationCommands({*world_.database, *world_.registry, *world_.queue}); }
  VerificationSchedule schedule(model::VerificationPolicy policy = {}) {
    return {*world_.database, *world_.registry, *world_.queue, world_.clock, world_.server, policy};
  }
  std::vector<std::string> verified() {
    std::vector<std::string> ids;
    for (const auto& call : world_.calls()) {
      if (call.starts_with("verify_backup ")) ids.push_back(call.substr(14));
    }
    return ids;
  }
  std::vector<model::Operation> open() {
    return world_.database->read([](auto& tx) { return open_verifications(tx); });
  }
  std::vector<std::string> due(core::Timestamp now) {
    return world_.database->read([&](auto& tx) { return metadata::VerificationTurns(tx).due(world_.server, now, 10); });
  }
  bool has_user(const model::Operation& operation) {
    const auto instance = world_.service(service_.id).status.instance_id;
    auto tx = world_.database->begin(metadata::Access::kWrite);  // never committed
    const auto node = metadata::Instances(tx).require(instance).node;
    return metadata::Allocations(tx).allocate("uid", node, operation.id, {1, 1}) != 1;
  }
  core::Code refusal(const std::string& id) {
    try {
      commands().verify(id, world_.admin);
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  }

  ControlWorld world_;
  model::Service service_;
};

TEST_F(VerificationTest, OnDemand) {
  const auto taken = take_backup();
  const auto entered = commands().verify(taken.id, world_.admin);
  EXPECT_EQ(commands().verify(taken.id, world_.admin).id, entered.id) << "one is open";
  world_.settle();
  const auto seen = backup(taken.id);
  EXPECT_EQ(seen.verified_at, world_.clock.now());
  ASSERT_TRUE(seen.verification);
  EXPECT_EQ(seen.verification->outcome, model::VerificationOutcome::kVerified);
  EXPECT_EQ(seen.verification->recovery_time, std::chrono::seconds(2));
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kSucceeded);
  EXPECT_EQ(world_.count_events(service_.id, "backup.verification_started"), 1U);
  EXPECT_EQ(world_.count_events(service_.id, "backup.verified"), 1U);
  EXPECT_EQ(verified().size(), 1U);
  world_.clock.advance(hours(2));
  world_.tick();
  const auto line = [&](const char* name, const char* value) {
    return std::string(name) + "{service=\"" + service_.id + "\"} " + value + "\n";
  };
  const auto text = world_.metrics.text();
  EXPECT_NE(text.find(line("backstay_control_verified_backup_age_seconds", "7200")), std::string::npos) << text;
  EXPECT_NE(text.find(line("backstay_control_verified_recovery_seconds", "2")), std::string::npos);
  EXPECT_NE(text.find(line("backstay_control_verification_failed", "0")), std::string::npos);
}

TEST_F(VerificationTest, CopyHasAUserOfItsOwnWhileItLasts) {
  const auto taken = take_backup();
  const auto of_service =
      world_.database->read([&](auto& tx) { return metadata::Instances(tx).require(taken.instance_id).uid; });
  commands().verify(taken.id, world_.admin);
  world_.settle();
  const auto first = backup(taken.id).verification->checks.at("uid").to_number<std::uint32_t>();
  EXPECT_NE(first, of_service);
  EXPECT_GT(first, 0U);
}

TEST_F(VerificationTest, WhatIsFoundIsToldAndTheBackupIsGoodNoMore) {
  const auto taken = take_backup();
  world_.provider->set_finding("index orders_pkey is damaged");
  const auto entered = commands().verify(taken.id, world_.admin);
  world_.settle();
  const auto seen = backup(taken.id);
  EXPECT_FALSE(seen.verified_at);
  EXPECT_EQ(seen.verification->problem, "index orders_pkey is damaged");
  EXPECT_FALSE(model::is_sound(seen));
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kFailed);
  EXPECT_EQ(world_.count_events(service_.id, "backup.verification_failed"), 1U);
  EXPECT_EQ(world_.count_events(service_.id, "backup.verification_not_run"), 0U);
}

TEST_F(VerificationTest, LastGoodOneStaysInsteadOfTheOneThatFailed) {
  world_.clock.advance(hours(1));
  const auto good = take_backup();
  world_.clock.advance(hours(1));
  const auto bad = take_backup();
  world_.provider->set_finding("index orders_pkey is damaged");
  commands().verify(bad.id, world_.admin);
  world_.settle();
  // Long after both have left the retention, and nothing newer has come.
  const auto cases = world_.database->read(
      [&](auto& tx) { return retention_cases(tx, world_.service(service_.id), world_.clock.now() + hours(24 * 30)); });
  ASSERT_EQ(cases.size(), 1U);
  const auto decision = model::decide_retention(cases.front().question);
  const auto verdict = [&](const std::string& id) {
    return *std::ranges::find(decision.backups, id, &model::BackupVerdict::backup_id);
  };
  EXPECT_FALSE(verdict(good.id).goes);
  EXPECT_EQ(verdict(good.id).reason, "it is the newest confirmed backup");
  EXPECT_EQ(verdict(bad.id).reason, "no newer one is confirmed");
}

TEST_F(VerificationTest, WhatCouldNotBeTriedSaysNothing) {
  const auto taken = take_backup();
  const core::Error full(core::Code::kDiskFull, "no room");
  for (int i = 0; i < 2; ++i) world_.provider->fail_next("verify_backup", full);
  const auto entered = commands().verify(taken.id, world_.admin);
  world_.settle();
  world_.clock.advance(std::chrono::minutes(3));
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kFailed);
  const auto seen = backup(taken.id);
  EXPECT_EQ(seen.verification->outcome, model::VerificationOutcome::kNotRun);
  EXPECT_EQ(seen.verification->problem, "no room");
  EXPECT_TRUE(model::is_sound(seen));
  EXPECT_EQ(world_.count_events(service_.id, "backup.verification_not_run"), 1U);
}

TEST_F(VerificationTest, FailureIsNotForgottenBecauseTheNextOneCouldNotBeTried) {
  const auto taken = take_backup();
  world_.provider->set_finding("index orders_pkey is damaged");
  commands().verify(taken.id, world_.admin);
  world_.settle();
  world_.provider->fail_next("verify_backup", core::Error(core::Code::kNotSupported, "no such version"));
  commands().verify(taken.id, world_.admin);
  world_.settle();
  EXPECT_FALSE(model::is_sound(backup(taken.id)));
  EXPECT_EQ(backup(taken.id).verification->problem, "index orders_pkey is damaged");
}

TEST_F(VerificationTest, WhatCannotBeVerifiedIsRefused) {
  EXPECT_EQ(refusal("00000000-0000-4000-8000-000000000000"), core::Code::kNotFound);
  const auto scheduled = world_.commands->schedule_backup(service_.id, world_.admin);
  EXPECT_EQ(refusal(scheduled.id), core::Code::kConflict);
  world_.settle();
  world_.provider->move_elsewhere();
  EXPECT_EQ(refusal(scheduled.id), core::Code::kNotSupported);
  auto reader = world_.admin;
  reader.admin = reader.may_write = false;
  EXPECT_THROW(commands().verify(scheduled.id, reader), core::Error);
}

TEST_F(VerificationTest, PolicyVerifiesTheNewestDumpOnce) {
  const auto dump = take_dump();
  auto policy = schedule();
  const auto turn = [&] {
    policy.tick();
    world_.settle();
  };
  for (int i = 0; i < 3; ++i) turn();
  ASSERT_EQ(verified().size(), 2U);
  EXPECT_NE(verified().front(), dump.id) << "the service's first backup comes first";
  EXPECT_EQ(verified().back(), dump.id);
  EXPECT_TRUE(backup(dump.id).verified_at);
  EXPECT_NE(world_.queries->last_verified(service_.id, world_.admin)->id, dump.id) << "no recovery takes that long";
  world_.clock.advance(hours(24));
  for (int i = 0; i < 2; ++i) turn();
  EXPECT_EQ(verified().size(), 3U);
  EXPECT_NE(verified().back(), dump.id);
}

TEST_F(VerificationTest, DumpThatNobodyHereCanLoadKeepsNoOtherFromItsTurn) {
  world_.clock.advance(hours(1));
  const auto physical = take_backup();
  world_.clock.advance(hours(1));
  const auto dump = take_dump();
  world_.provider->load_dumps(false);
  EXPECT_EQ(refusal(dump.id), core::Code::kNotSupported);
  for (int day = 0; day < 2; ++day) {
    auto policy = schedule();
    for (int i = 0; i < 2; ++i) {
      policy.tick();
      world_.settle();
    }
    world_.clock.advance(hours(24));
  }
  EXPECT_EQ(verified(), (std::vector{physical.id, physical.id}));
}

TEST_F(VerificationTest, OneTeamHasAFewInTheLineOnly) {
  std::vector<std::string> backups;
  for (int i = 0; i < 11; ++i) {
    auto request = world_.create_request("service-" + std::to_string(i));
    request.backups = world_.backups_request();
    const auto id = world_.commands->create_service(request, world_.admin).service.id;
    world_.settle();
    backups.push_back(world_.queries->backups(id, world_.admin).front().id);
  }
  for (std::size_t i = 0; i < 10; ++i) commands().verify(backups[i], world_.admin);
  EXPECT_EQ(refusal(backups[10]), core::Code::kConflict);
  EXPECT_TRUE(world_.run_one());
  EXPECT_EQ(commands().verify(backups[10], world_.admin).state, model::OperationState::kQueued);
}

TEST_F(VerificationTest, PolicyVerifiesTheNewestOnceADay) {
  auto policy = schedule();
  policy.tick();
  world_.settle();
  const auto before = verified().size();  // the service's first backup, taken when it was made
  world_.clock.advance(hours(2));
  const auto newest = take_backup();
  policy.tick();
  world_.settle();
  EXPECT_EQ(verified().size(), before) << "not twice a day";
  world_.clock.advance(hours(22));
  policy.tick();
  world_.settle();
  ASSERT_EQ(verified().size(), before + 1);
  EXPECT_TRUE(backup(newest.id).verified_at || verified().back() != newest.id);
}

TEST_F(VerificationTest, PolicyCatchesUpAfterARestart) {
  const auto taken = take_backup();
  schedule().tick();
  world_.settle();
  const auto before = verified().size();
  world_.clock.advance(hours(24 * 5));
  ControlWorld again(world_.directory, world_.provider);
  again.clock.advance(world_.clock.now() - again.clock.now());
  VerificationSchedule late(*again.database, *again.registry, *again.queue, again.clock, again.server, {});
  for (int i = 0; i < 3; ++i) {
    again.reconciler->tick();
    late.tick();
    while (again.run_one()) {
    }
  }
  EXPECT_EQ(verified().size(), before + 1) << "once for all that was missed";
}

TEST_F(VerificationTest, PolicyThatIsOffDoesNothing) {
  take_backup();
  schedule({.every = hours(0), .nth = 0}).tick();
  world_.settle();
  EXPECT_TRUE(verified().empty());
}

TEST_F(VerificationTest, OneThatIsAskedForIsOpenForAService) {
  const auto one = take_backup();
  const auto other = take_backup();
  const auto entered = commands().verify(one.id, world_.admin);
  EXPECT_EQ(refusal(other.id), core::Code::kConflict);
  schedule().tick();
  EXPECT_EQ(open().size(), 1U) << "the policy waits for it";
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kSucceeded);
  EXPECT_EQ(commands().verify(other.id, world_.admin).state, model::OperationState::kQueued);
}

TEST_F(VerificationTest, PolicyHasItsTurnBesideThoseThatAreAskedFor) {
  const auto taken = take_backup();
  auto request = world_.create_request("others");
  request.backups = world_.backups_request();
  const auto others = world_.commands->create_service(request, world_.admin).service.id;
  world_.settle();
  commands().verify(taken.id, world_.admin);
  auto policy = schedule();
  for (int i = 0; i < 3; ++i) policy.tick();
  ASSERT_EQ(open().size(), 2U);
  EXPECT_TRUE(world_.runner->run_one({}, {}, std::string(kPolicyLane)));
  ASSERT_EQ(open().size(), 1U);
  EXPECT_EQ(open().front().lane, kAskedLane);
  ASSERT_EQ(verified().size(), 1U);
  EXPECT_EQ(backup(verified().front()).service_id, others);
}

TEST_F(VerificationTest, OneThatWaitsKeepsItsPlaceWhenABackupIsConfirmed) {
  const auto waits_since = world_.clock.now();
  world_.database->write([&](auto& tx) { metadata::VerificationTurns(tx).set(service_.id, waits_since); });
  world_.clock.advance(hours(1));
  take_backup();
  EXPECT_EQ(due(waits_since), std::vector{service_.id});
  world_.database->write([&](auto& tx) { metadata::VerificationTurns(tx).set(service_.id, std::nullopt); });
  take_backup();
  EXPECT_EQ(due(world_.clock.now()), std::vector{service_.id});
}

TEST_F(VerificationTest, EndsThoughTheRecordOfItsBackupHasGone) {
  const auto removed = take_backup();
  const auto other = take_backup();
  const auto remove = [&](const std::string& id) {
    world_.database->write([&](auto& tx) { metadata::Backups(tx).remove(id); });
  };
  const auto queued = commands().verify(removed.id, world_.admin);
  remove(removed.id);
  world_.settle();
  EXPECT_EQ(operation(queued.id).state, model::OperationState::kFailed);
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "verify_backup") remove(other.id);
  });
  const auto running = commands().verify(other.id, world_.admin);
  world_.settle();
  EXPECT_EQ(operation(running.id).state, model::OperationState::kFailed);
  EXPECT_FALSE(has_user(running));
  EXPECT_TRUE(open().empty());
}

TEST_F(VerificationTest, CancelledWhileItWaitsToBeTriedAgain) {
  const auto taken = take_backup();
  world_.provider->fail_next("verify_backup", core::Error(core::Code::kUnavailable, "no memory"));
  const auto entered = commands().verify(taken.id, world_.admin);
  world_.settle();
  ASSERT_EQ(operation(entered.id).state, model::OperationState::kQueued);
  ASSERT_TRUE(has_user(entered));
  world_.commands->cancel_operation(entered.id, world_.admin);
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kCancelled);
  EXPECT_FALSE(has_user(entered));
  EXPECT_EQ(world_.count_events(service_.id, "backup.verification_not_run"), 1U);
  EXPECT_EQ(backup(taken.id).verification->not_run_at, world_.clock.now());
  EXPECT_EQ(due(world_.clock.now()), std::vector{service_.id});
}

TEST_F(VerificationTest, WhatIsKnownOutlivesWhatCouldNotBeTried) {
  const auto good = take_backup();
  world_.clock.advance(hours(1));
  const auto bad = take_backup();
  for (const auto& id : {good.id, bad.id}) {
    world_.clock.advance(hours(1));
    commands().verify(id, world_.admin);
    world_.settle();
  }
  world_.provider->set_finding("index orders_pkey is damaged");
  commands().verify(bad.id, world_.admin);
  world_.settle();
  world_.clock.advance(hours(1));
  const auto newest = take_backup();
  world_.provider->fail_next("verify_backup", core::Error(core::Code::kNotSupported, "no such version"));
  commands().verify(newest.id, world_.admin);
  world_.settle();
  EXPECT_EQ(backup(newest.id).verification->outcome, model::VerificationOutcome::kNotRun);
  const auto last = world_.queries->last_verified(service_.id, world_.admin);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->id, good.id);
  const auto tried = world_.database->read([&](auto& tx) { return metadata::Backups(tx).last_tried(service_.id); });
  ASSERT_TRUE(tried);
  EXPECT_EQ(tried->id, bad.id);
  world_.tick();
  EXPECT_NE(world_.metrics.text().find("backstay_control_verification_failed{service=\"" + service_.id + "\"} 1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace backstay::control
