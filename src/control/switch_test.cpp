// Candidates and switching: what is refused, what happens, and that a kill at any moment ends with one instance that
// serves.
#include <gtest/gtest.h>

#include "control/recovery_places.h"
#include "control/retention_question.h"
#include "control/testing/control_world.h"
#include "control/verification_commands.h"
#include "control/verification_schedule.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

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

/// A service with a confirmed backup.
class SwitchTest : public ::testing::Test {
 protected:
  SwitchTest() {
    world_.admin.may_recover_in_place = world_.admin.may_delete = true;
    id_ = world_.make_service(true).id;
    world_.settle();
    first_ = world_.service(id_).status.instance_id;
    port_ = instance(first_).port;
    world_.clock.advance(std::chrono::hours(1));
  }
  model::Service recover(RecoverInto into = RecoverInto::kCandidate, const std::string& name = {}) {
    RecoverServiceRequest request;
    request.service_id = id_;
    request.into = into;
    if (!name.empty()) request.name = name;
    return world_.commands->recover_service(request, world_.admin).service;
  }
  model::Service candidate() {
    const auto made = recover();
    settle();
    return world_.service(made.id);
  }
  model::Operation begin_switch(const SwitchRequest& request = {}) {
    return *world_.commands->switch_service(id_, request, world_.admin).operation;
  }
  void switch_over(const SwitchRequest& request = {}) {
    const auto operation = begin_switch(request);
    settle();
    EXPECT_EQ(world_.queries->operation(operation.id, world_.admin).state, model::OperationState::kSucceeded);
  }
  /// Also what waits for a moment.
  void settle() {
    for (int i = 0; i < 5; ++i) {
      world_.settle();
      world_.clock.advance(std::chrono::seconds(11));
    }
    world_.settle();
  }
  model::Instance instance(const std::string& id) {
    return world_.database->read([&](auto& tx) { return metadata::Instances(tx).require(id); });
  }
  std::string serving() { return world_.service(id_).status.instance_id; }
  std::vector<model::Backup> backups_of(const std::string& service_id) {
    return world_.queries->backups(service_id, world_.admin);
  }
  /// One instance, on the port that clients know, and nothing else of the service that serves.
  void expect_one_serves(const std::string& instance_id) {
    EXPECT_EQ(serving(), instance_id);
    const auto running = world_.provider->running();
    ASSERT_TRUE(running.contains(instance_id));
    EXPECT_EQ(running.at(instance_id), port_);
    int serve = 0;
    for (const auto& it : world_.queries->instances(id_, world_.admin)) {
      serve += static_cast<int>(it.state == model::InstanceState::kServing);
      if (it.id != instance_id) EXPECT_FALSE(running.contains(it.id)) << it.id;
    }
    EXPECT_EQ(serve, 1);
    EXPECT_EQ(world_.service(id_).status.state, model::ServiceState::kSynchronized);
  }

  ControlWorld world_;
  std::string id_, first_;
  std::uint16_t port_ = 0;
};

TEST_F(SwitchTest, ACandidateIsLikeItsOriginal) {
  const auto original = world_.service(id_);
  const auto made = candidate();
  EXPECT_EQ(made.candidate_of, id_);
  EXPECT_EQ(made.status.state, model::ServiceState::kSynchronized);
  EXPECT_EQ(made.provider, original.provider);
  EXPECT_EQ(made.plan, original.plan);
  EXPECT_EQ(made.config, original.config);
  EXPECT_EQ(made.secrets.at("password").reveal(), "correct horse");
  EXPECT_TRUE(made.backups.enabled);
  EXPECT_EQ(made.backups.destination_id, original.backups.destination_id);
  EXPECT_TRUE(made.name.starts_with("orders-restored-20")) << made.name;
  EXPECT_NE(instance(made.status.instance_id).port, port_);
  EXPECT_EQ(serving(), first_);
  ASSERT_FALSE(backups_of(made.id).empty());
}

TEST_F(SwitchTest, NamesAreFreeAndFit) {
  UpdateServiceRequest rename;
  rename.name = std::string(127, 'n');
  world_.commands->update_service(id_, rename, world_.admin);
  const auto one = recover();
  const auto other = recover();
  EXPECT_NE(one.name, other.name);
  EXPECT_EQ(one.name.size(), 127U);
  EXPECT_EQ(other.name.size(), 127U);
  world_.commands->delete_service(other.id, FinalBackup::kSkip, world_.admin);
  EXPECT_NE(recover().name, other.name) << "it has its name until it is gone";
}

TEST_F(SwitchTest, ANewOneIsNoCandidate) {
  const auto made = recover(RecoverInto::kNew, "copy");
  settle();
  EXPECT_EQ(world_.service(made.id).candidate_of, "");
  EXPECT_EQ(world_.service(made.id).name, "copy");
  EXPECT_EQ(refusal([&] { begin_switch(); }).code(), core::Code::kConflict);
}

TEST_F(SwitchTest, TheServiceGoesOnWithTheDataOfItsCandidate) {
  const auto made = candidate();
  const auto second = made.status.instance_id;
  const auto ids = backups_of(made.id);
  const auto before = world_.service(id_);
  switch_over();
  expect_one_serves(second);
  const auto after = world_.service(id_);
  EXPECT_EQ(after.name, before.name);
  EXPECT_EQ(after.secrets.at("password").reveal(), before.secrets.at("password").reveal());
  EXPECT_EQ(after.status.details.at("port"), port_);
  const auto all = backups_of(id_);
  for (const auto& backup : ids) {
    EXPECT_TRUE(std::ranges::any_of(all, [&](const auto& it) { return it.id == backup.id; }));
  }
  EXPECT_TRUE(backups_of(made.id).empty());
  const auto former = instance(first_);
  EXPECT_EQ(former.state, model::InstanceState::kStopped);
  EXPECT_EQ(former.served_until, instance(second).served_from);
  ASSERT_TRUE(former.kept_until);
  EXPECT_EQ(*former.kept_until - *former.served_until, core::Duration(std::chrono::hours(24)));
  EXPECT_FALSE(former.unsent);
  EXPECT_EQ(world_.count_events(id_, "service.switched"), 1U);
  const auto ended = world_.service(made.id);
  EXPECT_EQ(ended.status.state, model::ServiceState::kDeleted);
  EXPECT_NE(ended.status.reason.find("'orders'"), std::string::npos) << ended.status.reason;
  EXPECT_TRUE(ended.secrets.empty());
  EXPECT_EQ(refusal([&] { world_.commands->undelete_service(made.id, world_.admin); }).code(), core::Code::kConflict);
}

TEST_F(SwitchTest, TheOldServerIsStoppedBeforeTheNewOneStarts) {
  const auto second = candidate().status.instance_id;
  const auto known = world_.calls().size();
  switch_over();
  auto calls = world_.calls();
  calls.erase(calls.begin(), calls.begin() + static_cast<std::ptrdiff_t>(known));
  std::erase_if(calls, [](const auto& call) {
    return !call.starts_with("fence") && !call.starts_with("start") && !call.starts_with("checkpoint");
  });
  // A server that has just written all that it held ends at once.
  EXPECT_EQ(calls, (std::vector<std::string>{"checkpoint " + second, "checkpoint " + first_, "fence " + second,
                                             "checkpoint " + first_, "fence " + first_, "start " + second}));
}

TEST_F(SwitchTest, WhatWasChangedMeanwhileIsTheOriginals) {
  const auto second = candidate().status.instance_id;
  UpdateServiceRequest change;
  change.secrets = model::Secrets{{"password", core::Secret("changed")}};
  world_.commands->update_service(id_, change, world_.admin);
  settle();
  switch_over();
  EXPECT_EQ(std::ranges::count(world_.calls(), "apply " + second), 1);
  EXPECT_EQ(world_.service(id_).secrets.at("password").reveal(), "changed");
}

TEST_F(SwitchTest, ItIsSwitchedBackAndForth) {
  const auto second = candidate().status.instance_id;
  switch_over();
  const auto first_span = *instance(first_).served_from;
  world_.clock.advance(std::chrono::hours(2));
  switch_over({.instance_id = first_});
  expect_one_serves(first_);
  EXPECT_EQ(world_.count_events(id_, "service.switched_back"), 1U);
  ASSERT_EQ(instance(first_).served_before.size(), 1U);
  EXPECT_EQ(instance(first_).served_before[0].from, first_span);
  EXPECT_FALSE(instance(first_).kept_until);
  EXPECT_EQ(instance(second).state, model::InstanceState::kStopped);
  world_.clock.advance(std::chrono::hours(2));
  switch_over({.instance_id = second});
  expect_one_serves(second);
  const auto instances = world_.queries->instances(id_, world_.admin);
  ASSERT_EQ(instances.size(), 2U);
  EXPECT_EQ(instances[0].id, second);
}

TEST_F(SwitchTest, AfterTheGraceTheDataGoesAndTheArchiveStays) {
  candidate();
  switch_over();
  const auto backups = backups_of(id_).size();
  world_.clock.advance(std::chrono::hours(25));
  settle();
  EXPECT_EQ(instance(first_).state, model::InstanceState::kRemoved);
  EXPECT_EQ(std::ranges::count(world_.calls(), "destroy " + first_), 1);
  EXPECT_GE(backups_of(id_).size(), backups);
  EXPECT_EQ(world_.count_events(id_, "instance.discarded"), 1U);
  EXPECT_NE(instance(first_).destination_id, "");
  const auto error = refusal([&] { begin_switch({.instance_id = first_}); });
  EXPECT_EQ(error.code(), core::Code::kConflict);
  EXPECT_EQ(error.fields().at(0).pointer, "/instanceId");
  expect_one_serves(serving());
}

TEST_F(SwitchTest, WithoutItsLastWritesInTheStoreTheDataStays) {
  candidate();
  world_.provider->set_store_takes_all(false);
  begin_switch();
  settle();
  EXPECT_TRUE(instance(first_).unsent);
  world_.clock.advance(std::chrono::hours(25));
  settle();
  EXPECT_EQ(instance(first_).state, model::InstanceState::kStopped);
  world_.provider->set_store_takes_all(true);
  world_.clock.advance(std::chrono::minutes(5));
  settle();
  EXPECT_EQ(instance(first_).state, model::InstanceState::kRemoved);
}

TEST_F(SwitchTest, WithoutABackupOfItsOwnOneIsTakenAtOnce) {
  const auto made = recover();
  // Its first backup has not begun when the switch is asked for.
  while (world_.service(made.id).status.state != model::ServiceState::kSynchronized) ASSERT_TRUE(world_.run_one());
  switch_over();
  const auto backups = backups_of(id_);
  const auto safety = std::ranges::find(backups, model::BackupOrigin::kSafety, &model::Backup::origin);
  ASSERT_NE(safety, backups.end());
  EXPECT_EQ(safety->instance_id, serving());
  EXPECT_TRUE(safety->confirmed_at);
}

TEST_F(SwitchTest, InPlaceIsBothInOne) {
  const auto made = recover(RecoverInto::kInPlace);
  settle();
  EXPECT_EQ(world_.service(made.id).status.state, model::ServiceState::kDeleted);
  EXPECT_NE(serving(), first_);
  expect_one_serves(serving());
  const auto operations = world_.queries->operations({.service_id = made.id, .team_id = {}}, world_.admin);
  const auto recovery = std::ranges::find(operations, kinds::kRecover, &model::Operation::kind);
  ASSERT_NE(recovery, operations.end());
  const auto id = core::require_string(recovery->result, "switchOperationId");
  EXPECT_EQ(world_.queries->operation(id, world_.admin).service_id, id_);
}

TEST_F(SwitchTest, InPlaceNeedsThePermission) {
  candidate();
  auto member = world_.admin;
  member.admin = member.may_recover_in_place = member.may_delete = false;
  RecoverServiceRequest request;
  request.service_id = id_;
  request.into = RecoverInto::kInPlace;
  EXPECT_EQ(refusal([&] { world_.commands->recover_service(request, member); }).code(), core::Code::kForbidden);
  EXPECT_EQ(refusal([&] { world_.commands->switch_service(id_, {}, member); }).code(), core::Code::kForbidden);
  EXPECT_EQ(refusal([&] { world_.commands->preview_switch(id_, {}, member); }).code(), core::Code::kForbidden);
  request.into = RecoverInto::kCandidate;
  EXPECT_EQ(world_.commands->recover_service(request, member).service.candidate_of, id_);
}

TEST_F(SwitchTest, ATimeMeansTheInstanceThatServedThen) {
  const auto second = candidate().status.instance_id;
  const auto begin = *instance(first_).served_from;
  switch_over();
  const auto during_second = world_.clock.now();
  world_.clock.advance(std::chrono::hours(2));
  switch_over({.instance_id = first_});
  world_.clock.advance(std::chrono::hours(2));
  const auto now = world_.clock.now();
  const auto back = *instance(second).served_until;
  // The first one's archive has nothing of the time between, and nothing in it says so.
  world_.provider->set_window_of_instance({.instance_id = first_, .earliest = begin, .latest = now});
  world_.provider->set_window_of_instance({.instance_id = second, .earliest = begin, .latest = back});
  const auto places = world_.database->read([&](auto& tx) { return recovery_places(tx, world_.service(id_)); });
  ASSERT_EQ(places.size(), 2U);
  const auto chosen = [&](core::Timestamp time) {
    return choose_place(*world_.registry, places, time).body.instance.id;
  };
  EXPECT_EQ(chosen(begin + std::chrono::minutes(1)), first_);
  EXPECT_EQ(chosen(during_second), second);
  EXPECT_EQ(chosen(back + std::chrono::hours(1)), first_);
  const auto all = model::union_of(world_.queries->recovery_windows(id_, world_.admin));
  EXPECT_EQ(all.earliest, begin);
  EXPECT_EQ(all.latest, now);
  EXPECT_TRUE(all.gaps.empty());
}

TEST_F(SwitchTest, RetentionKeepsWhatServedBeforeAndTheOrderOfServing) {
  candidate();
  switch_over();
  switch_over({.instance_id = first_});
  const auto cases =
      world_.database->read([&](auto& tx) { return retention_cases(tx, world_.service(id_), world_.clock.now()); });
  ASSERT_EQ(cases.size(), 1U);
  const auto& instances = cases.front().question.instances;
  ASSERT_EQ(instances.size(), 2U);
  EXPECT_EQ(instances.back().id, first_);
  EXPECT_FALSE(instances.back().served_until);
  EXPECT_TRUE(instances.front().served_until);
  for (const auto& verdict : model::decide_retention(cases.front().question).backups) EXPECT_FALSE(verdict.goes);
}

TEST_F(SwitchTest, RetentionIsNotOverWithWhatMayBeSwitchedBackTo) {
  candidate();
  switch_over();
  const auto end_of_former = [&] {
    const auto cases =
        world_.database->read([&](auto& tx) { return retention_cases(tx, world_.service(id_), world_.clock.now()); });
    return *cases.front().question.instances.front().served_until;
  };
  world_.clock.advance(std::chrono::hours(20));
  EXPECT_EQ(end_of_former(), world_.clock.now());
  world_.clock.advance(std::chrono::hours(5));
  settle();
  EXPECT_EQ(end_of_former(), *instance(first_).served_until);
}

TEST_F(SwitchTest, ADryRunInPlaceSaysThatConnectionsAreCut) {
  RecoverServiceRequest request;
  request.service_id = id_;
  request.into = RecoverInto::kInPlace;
  const auto change = world_.commands->recover_service(request, world_.admin, Effect::kDryRun);
  const auto warnings = core::to_text(core::require_object(change.operation->request, "forecast").at("warnings"));
  EXPECT_NE(warnings.find("connections are cut"), std::string::npos) << warnings;
  EXPECT_EQ(world_.queries->services(world_.team_id, true, world_.admin).size(), 1U);
}

TEST_F(SwitchTest, ARecoveryThatIsCancelledTooLateTakesNothingAway) {
  const auto made = candidate();
  const auto second = made.status.instance_id;
  const auto recover_again = [&] {
    return world_.database->write([&](auto& tx) {
      return world_.queue->enqueue(tx, {.kind = std::string(kinds::kRecover),
                                        .team_id = world_.team_id,
                                        .service_id = made.id,
                                        .lane = "late",
                                        .request = {{"instanceId", second}},
                                        .secrets = {},
                                        .not_before = world_.clock.now() + std::chrono::hours(1)});
    });
  };
  const auto late = recover_again();
  begin_switch();
  world_.commands->cancel_operation(late.id, world_.admin);
  settle();
  expect_one_serves(second);
  world_.commands->cancel_operation(recover_again().id, world_.admin);
  expect_one_serves(second);
}

TEST_F(SwitchTest, ACandidateStaysWhereItsOriginalIsGone) {
  const auto made = recover(RecoverInto::kInPlace);
  world_.commands->delete_service(id_, FinalBackup::kSkip, world_.admin);
  settle();
  EXPECT_EQ(world_.service(made.id).status.state, model::ServiceState::kSynchronized);
  EXPECT_EQ(world_.service(id_).status.state, model::ServiceState::kDeleted);
}

TEST_F(SwitchTest, AStartThatFailsIsTakenBack) {
  const auto made = candidate();
  world_.provider->fail_next("start", core::Error(core::Code::kDatabaseUnavailable, "it does not start"));
  const auto operation = begin_switch();
  settle();
  EXPECT_EQ(world_.queries->operation(operation.id, world_.admin).state, model::OperationState::kFailed);
  expect_one_serves(first_);
  EXPECT_FALSE(instance(first_).served_until);
  EXPECT_FALSE(instance(first_).kept_until);
  EXPECT_EQ(world_.count_events(id_, "service.switch_failed"), 1U);
  EXPECT_EQ(instance(made.status.instance_id).service_id, made.id);
  EXPECT_EQ(world_.service(made.id).status.state, model::ServiceState::kSynchronized);
  EXPECT_FALSE(backups_of(made.id).empty());
  EXPECT_EQ(instance(made.status.instance_id).served_from, instance(made.status.instance_id).created_at)
      << "its own window begins where it did";
  switch_over();
  expect_one_serves(made.status.instance_id);
}

TEST_F(SwitchTest, WhatMayHaveBeenWrittenToIsNotTakenBack) {
  const auto second = candidate().status.instance_id;
  world_.provider->fail_next("start", core::Error(core::Code::kDatabaseUnavailable, "it cannot be asked"));
  int starts = 0;
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what != "start") return;
    world_.provider->set_liveness(second, ++starts == 1 ? Liveness::kRunning : Liveness::kDead);
  });
  const auto operation = begin_switch();
  settle();
  EXPECT_EQ(starts, 2) << "tried again";
  EXPECT_EQ(world_.queries->operation(operation.id, world_.admin).state, model::OperationState::kSucceeded);
  EXPECT_EQ(world_.count_events(id_, "service.switch_failed"), 0U);
  expect_one_serves(second);
}

TEST_F(SwitchTest, TakingBackThatBreaksOffLeavesOneThatServes) {
  const auto made = candidate();
  world_.provider->fail_next("start", core::Error(core::Code::kDatabaseUnavailable, "it does not start"));
  int fences = 0;
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    // After the two that the switch-over needs, the one that takes it back.
    if (what == "fence" && ++fences == 3) throw core::Error(core::Code::kTimeout, "it does not end");
  });
  const auto operation = begin_switch();
  settle();
  EXPECT_EQ(world_.queries->operation(operation.id, world_.admin).state, model::OperationState::kFailed);
  EXPECT_EQ(fences, 3);
  world_.clock.advance(std::chrono::seconds(61));
  settle();
  expect_one_serves(first_);
  EXPECT_EQ(instance(made.status.instance_id).service_id, made.id);
}

TEST_F(SwitchTest, AFailedSwitchBackLeavesWhatServes) {
  const auto second = candidate().status.instance_id;
  switch_over();
  world_.provider->fail_next("start", core::Error(core::Code::kDatabaseUnavailable, "it does not start"));
  begin_switch({.instance_id = first_});
  settle();
  expect_one_serves(second);
  EXPECT_TRUE(instance(first_).kept_until);
  EXPECT_TRUE(instance(first_).served_before.empty());
}

TEST_F(SwitchTest, NothingElseChangesTheServiceMeanwhile) {
  const auto made = candidate();
  begin_switch();
  UpdateServiceRequest change;
  change.pause = true;
  for (const auto& id : {id_, made.id}) {
    EXPECT_EQ(refusal([&] { world_.commands->update_service(id, change, world_.admin); }).code(),
              core::Code::kConflict);
    EXPECT_EQ(refusal([&] { world_.commands->restart_service(id, world_.admin); }).code(), core::Code::kConflict);
    EXPECT_EQ(refusal([&] { world_.commands->delete_service(id, FinalBackup::kSkip, world_.admin); }).code(),
              core::Code::kConflict);
    EXPECT_EQ(refusal([&] { world_.commands->preview_deletion(id, FinalBackup::kSkip, world_.admin); }).code(),
              core::Code::kConflict);
  }
  EXPECT_EQ(refusal([&] { world_.commands->schedule_backup(made.id, world_.admin); }).code(), core::Code::kConflict);
  EXPECT_EQ(refusal([&] { begin_switch(); }).code(), core::Code::kConflict);
  EXPECT_EQ(refusal([&] { recover(RecoverInto::kInPlace); }).code(), core::Code::kConflict);
  // A backup of the service waits for the switch and is then one of what serves.
  const auto backup = world_.commands->schedule_backup(id_, world_.admin);
  settle();
  EXPECT_EQ(world_.queries->backup(backup.id, world_.admin).instance_id, made.status.instance_id);
  expect_one_serves(made.status.instance_id);
}

TEST_F(SwitchTest, OpenBackupsOfBothAreCancelled) {
  const auto made = candidate();
  const auto of_service = world_.commands->schedule_backup(id_, world_.admin);
  const auto of_candidate = world_.commands->schedule_backup(made.id, world_.admin);
  switch_over();
  EXPECT_EQ(world_.queries->backup(of_service.id, world_.admin).state, model::BackupState::kFailed);
  EXPECT_EQ(world_.queries->backup(of_candidate.id, world_.admin).state, model::BackupState::kFailed);
}

TEST_F(SwitchTest, VerificationsOfTheCandidateEndAndNoneIsEntered) {
  const auto made = candidate();
  const auto backup = backups_of(made.id).front().id;
  VerificationCommands verifications({*world_.database, *world_.registry, *world_.queue});
  VerificationSchedule policy(*world_.database, *world_.registry, *world_.queue, world_.clock, world_.server, {});
  const auto state_of = [&](const std::string& id) { return world_.queries->operation(id, world_.admin).state; };
  const auto queued = verifications.verify(backup, world_.admin);
  begin_switch();
  EXPECT_EQ(state_of(queued.id), model::OperationState::kCancelled);
  EXPECT_EQ(refusal([&] { verifications.verify(backup, world_.admin); }).code(), core::Code::kConflict);
  policy.tick();
  // One that came in between after all holds up nothing.
  const auto late = world_.database->write([&](auto& tx) {
    EXPECT_TRUE(open_verifications(tx).empty());
    return enqueue_verification(tx, *world_.queue, metadata::Backups(tx).require(backup), kPolicyLane).id;
  });
  settle();
  EXPECT_EQ(state_of(late), model::OperationState::kCancelled);
  expect_one_serves(made.status.instance_id);
}

TEST_F(SwitchTest, APausedOrDeletedServiceIsNotSwitched) {
  const auto made = candidate();
  UpdateServiceRequest change;
  change.pause = true;
  world_.commands->update_service(made.id, change, world_.admin);
  settle();
  EXPECT_NE(refusal([&] { begin_switch({.candidate_id = made.id}); }).message().find("paused"), std::string::npos);
  world_.commands->update_service(id_, change, world_.admin);
  settle();
  EXPECT_NE(refusal([&] { begin_switch(); }).message().find("it is paused"), std::string::npos);
  world_.commands->delete_service(id_, FinalBackup::kSkip, world_.admin);
  settle();
  EXPECT_NE(refusal([&] { begin_switch(); }).message().find("it is deleted"), std::string::npos);
  EXPECT_EQ(refusal([&] { recover(); }).code(), core::Code::kConflict);
}

TEST_F(SwitchTest, WhatIsNotTheServicesIsRefusedByItsField) {
  const auto other = world_.commands->create_service(world_.create_request("other"), world_.admin).service.id;
  settle();
  EXPECT_EQ(refusal([&] { begin_switch({.candidate_id = other}); }).fields().at(0).pointer, "/candidateId");
  EXPECT_EQ(refusal([&] { begin_switch({.instance_id = first_}); }).fields().at(0).pointer, "/instanceId");
  EXPECT_EQ(refusal([&] { begin_switch({.candidate_id = other, .instance_id = first_}); }).code(),
            core::Code::kInvalidArgument);
  RecoverServiceRequest nothing;
  EXPECT_EQ(refusal([&] { world_.commands->recover_service(nothing, world_.admin); }).fields().at(0).pointer,
            "/serviceId");
  RecoverServiceRequest strange;
  strange.service_id = other;
  strange.backup_id = backups_of(id_).front().id;
  EXPECT_EQ(refusal([&] { world_.commands->recover_service(strange, world_.admin); }).fields().at(0).pointer,
            "/backupId");
}

TEST_F(SwitchTest, ADryRunTellsAndChangesNothing) {
  const auto made = candidate();
  const auto before = world_.queries->operations({.service_id = id_, .team_id = {}}, world_.admin).size();
  const auto preview = world_.commands->preview_switch(id_, {}, world_.admin);
  EXPECT_TRUE(preview.restarts);
  EXPECT_NE(preview.effects.at(0).find(made.name), std::string::npos);
  EXPECT_EQ(world_.queries->operations({.service_id = id_, .team_id = {}}, world_.admin).size(), before);
  EXPECT_EQ(world_.service(id_).status.state, model::ServiceState::kSynchronized);
}

TEST_F(SwitchTest, ADeletionTakesTheKeptDataToo) {
  const auto second = candidate().status.instance_id;
  switch_over();
  world_.commands->delete_service(id_, FinalBackup::kRequired, world_.admin);
  settle();
  EXPECT_EQ(instance(first_).state, model::InstanceState::kRemoved);
  EXPECT_EQ(instance(second).state, model::InstanceState::kRemoved);
  EXPECT_TRUE(world_.provider->running().empty());
  world_.commands->undelete_service(id_, world_.admin);
  settle();
  EXPECT_EQ(world_.service(id_).status.state, model::ServiceState::kSynchronized);
}

TEST_F(SwitchTest, ADeadServerCanBeSwitchedAwayFrom) {
  const auto second = candidate().status.instance_id;
  world_.provider->set_liveness(first_, Liveness::kDead, "gone");
  switch_over();
  expect_one_serves(second);
}

TEST_F(SwitchTest, WhatRunsElsewhereIsNotSupported) {
  world_.provider->move_elsewhere();
  EXPECT_EQ(refusal([&] { begin_switch(); }).code(), core::Code::kNotSupported);
  EXPECT_EQ(refusal([&] { recover(); }).code(), core::Code::kNotSupported);
}

/// The state as a kill at a call of the provider would leave it, and a process that goes on from it.
class SwitchKillTest : public SwitchTest, public ::testing::WithParamInterface<int> {
 protected:
  /// What the provider is asked after that call has no effect: the process is gone.
  std::unique_ptr<ControlWorld> killed_at(int wanted) {
    const auto at = world_.directory / "killed";
    int calls = 0;
    bool killed = false;
    world_.provider->on_call([&](const std::string&, WorkContext&) {
      if (++calls < wanted) return;
      if (!killed) world_.snapshot(at);
      killed = true;
      throw std::runtime_error("the process is killed here");
    });
    while (!killed && world_.run_one()) {
    }
    world_.provider->on_call({});
    EXPECT_TRUE(killed) << "there are fewer calls";
    auto next = std::make_unique<ControlWorld>(at, world_.provider);
    next->clock.advance(world_.clock.now() - next->clock.now());
    for (int i = 0; i < 5; ++i) {
      next->settle();
      next->clock.advance(std::chrono::seconds(11));
    }
    return next;
  }
  /// The one that the service points at, on its port; the other one only as another service's.
  void expect_one_serves(ControlWorld& world) {
    const auto running = world_.provider->running();
    const auto serves = world.service(id_).status.instance_id;
    ASSERT_TRUE(running.contains(serves));
    EXPECT_EQ(running.at(serves), port_);
    for (const auto& it : world.queries->instances(id_, world.admin)) {
      EXPECT_EQ(running.contains(it.id), it.id == serves) << it.id;
    }
    EXPECT_EQ(world.service(id_).status.state, model::ServiceState::kSynchronized);
  }
};

TEST_P(SwitchKillTest, AKillAtAnyCallEndsWithOneThatServes) {
  const auto second = candidate().status.instance_id;
  const auto operation = begin_switch();
  const auto next = killed_at(GetParam());
  EXPECT_EQ(next->queries->operation(operation.id, next->admin).state, model::OperationState::kSucceeded);
  EXPECT_EQ(next->service(id_).status.instance_id, second);
  expect_one_serves(*next);
}

INSTANTIATE_TEST_SUITE_P(Calls, SwitchKillTest, ::testing::Range(1, 8));

class TakeBackKillTest : public SwitchKillTest {};

TEST_P(TakeBackKillTest, AKillWhileItIsTakenBackEndsWithOneThatServes) {
  candidate();
  world_.provider->fail_next("start", core::Error(core::Code::kDatabaseUnavailable, "it does not start"));
  const auto operation = begin_switch();
  const auto next = killed_at(GetParam());
  EXPECT_TRUE(model::is_terminal(next->queries->operation(operation.id, next->admin).state));
  expect_one_serves(*next);
}

INSTANTIATE_TEST_SUITE_P(Calls, TakeBackKillTest, ::testing::Range(8, 11));

TEST_F(SwitchTest, BackIsToWhatServedLast) {
  const auto refused = refusal([&] { begin_switch({.back = true}); });
  EXPECT_EQ(refused.code(), core::Code::kConflict) << "it has served alone so far";
  const auto second = candidate().status.instance_id;
  switch_over();
  const auto third = candidate().status.instance_id;
  switch_over();
  ASSERT_EQ(serving(), third);
  const auto both = refusal([&] { begin_switch({.instance_id = first_, .back = true}); });
  EXPECT_EQ(both.fields().at(0).pointer, "/back");
  switch_over({.back = true});
  EXPECT_EQ(serving(), second);
  switch_over({.back = true});
  EXPECT_EQ(serving(), third) << "which has served last now";
}

}  // namespace
}  // namespace backstay::control
