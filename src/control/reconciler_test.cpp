#include "control/reconciler.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

std::string instance_of(ControlWorld& world, const std::string& id) { return world.service(id).status.instance_id; }

std::vector<model::Backup> backups_of(ControlWorld& world, const std::string& id) {
  return world.queries->backups(id, world.admin);
}

TEST(ReconcilerTest, ADeadServerIsRestartedAndTheEventsSayWhy) {
  ControlWorld world;
  const auto id = world.make_service().id;
  world.provider->set_liveness(instance_of(world, id), Liveness::kDead, "signal 9");
  world.tick();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kUnknown);
  EXPECT_NE(world.service(id).status.reason.find("signal 9"), std::string::npos);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(world.count_events(id, "server.died"), 1u);
  EXPECT_EQ(world.count_events(id, "server.restarted"), 1u);
}

TEST(ReconcilerTest, AServerThatKeepsDyingIsRestartedEverMoreSeldom) {
  ControlWorld world;
  const auto id = world.make_service().id;
  std::vector<core::Timestamp> starts;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "start") starts.push_back(world.clock.now());
  });
  for (int second = 0; second < 60; ++second) {
    world.provider->set_liveness(instance_of(world, id), Liveness::kDead, "again");
    world.tick();
    while (world.run_one()) {
    }
    world.clock.advance(std::chrono::seconds(1));
  }
  ASSERT_GE(starts.size(), 4u);
  EXPECT_LE(starts.size(), 7u);
  for (std::size_t i = 2; i < starts.size(); ++i) EXPECT_GT(starts[i] - starts[i - 1], starts[i - 1] - starts[i - 2]);
}

TEST(ReconcilerTest, AServerThatDoesNotAnswerIsUnknownUntilItDoes) {
  ControlWorld world;
  const auto id = world.make_service().id;
  world.provider->set_liveness(instance_of(world, id), Liveness::kUnreachable, "no answer");
  world.tick();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized) << "one silence is not news";
  world.tick();
  world.tick();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kUnknown);
  world.provider->set_liveness(instance_of(world, id), Liveness::kRunning);
  world.tick();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(world.count_events(id, "service.unreachable"), 1u);
  EXPECT_EQ(world.count_events(id, "service.reachable"), 1u);
}

TEST(ReconcilerTest, StorageIsToldOncePerCrossing) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto instance = instance_of(world, id);
  const std::uint64_t limit = 10240ULL << 20;
  const auto measure = [&](std::uint64_t used) {
    world.provider->set_storage_used(instance, used);
    for (int i = 0; i < 3; ++i) {
      world.clock.advance(std::chrono::seconds(31));
      world.tick();
    }
  };
  measure(limit / 2);
  EXPECT_EQ(world.count_events(id, "storage.high"), 0u);
  measure(limit / 100 * 95);
  EXPECT_EQ(world.count_events(id, "storage.high"), 1u);
  measure(limit);
  EXPECT_EQ(world.count_events(id, "storage.full"), 1u);
  EXPECT_TRUE(world.provider->read_only(instance));
  measure(limit / 2);
  EXPECT_EQ(world.count_events(id, "storage.fits"), 1u);
  EXPECT_FALSE(world.provider->read_only(instance));
}

TEST(ReconcilerTest, WhatIsAtRiskIsToldWhenItBeginsAndWhenItEnds) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  AtRisk risk;
  risk.bytes = 5000;
  const auto tick_twice = [&] {
    world.provider->set_at_risk(risk);
    world.tick();
    world.tick();
  };
  risk.time = std::chrono::seconds(59);
  tick_twice();
  EXPECT_EQ(world.count_events(id, "wal.behind"), 0u);
  for (std::size_t round = 1; round <= 2; ++round) {
    risk.time = std::chrono::seconds(61);
    tick_twice();
    EXPECT_EQ(world.count_events(id, "wal.behind"), round);
    EXPECT_EQ(world.count_events(id, "wal.caught_up"), round - 1);
    risk.time = std::chrono::seconds(1);
    tick_twice();
    EXPECT_EQ(world.count_events(id, "wal.caught_up"), round);

    risk.store_reachable = false;
    tick_twice();
    EXPECT_EQ(world.count_events(id, "store.unreachable"), round);
    risk.store_reachable = true;
    tick_twice();
    EXPECT_EQ(world.count_events(id, "store.reachable"), round);

    risk.needs_backup = "WAL was lost";
    tick_twice();
    EXPECT_EQ(world.count_events(id, "wal.gap"), round);
    risk.needs_backup.clear();
    tick_twice();
    EXPECT_EQ(world.count_events(id, "wal.gap_ended"), round);
  }
}

TEST(ReconcilerTest, MetricsTellOfEachServiceAsLongAsItIsThere) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.provider->set_at_risk(AtRisk{4096, std::chrono::seconds(3), true, "", ""});
  world.clock.advance(std::chrono::hours(2));
  world.tick();
  const auto line = [&](const std::string& name) { return name + "{service=\"" + id + "\"} "; };
  const auto text = world.metrics.text();
  EXPECT_NE(text.find(line("backstay_control_confirmed_backup_age_seconds") + "7200"), std::string::npos) << text;
  EXPECT_NE(text.find(line("backstay_control_wal_at_risk_bytes") + "4096"), std::string::npos) << text;
  EXPECT_NE(text.find(line("backstay_control_wal_at_risk_seconds") + "3"), std::string::npos) << text;
  EXPECT_NE(text.find("# TYPE backstay_control_confirmed_backup_age_seconds gauge"), std::string::npos);
  EXPECT_NE(text.find("# HELP backstay_control_confirmed_backup_age_seconds "), std::string::npos);

  UpdateServiceRequest off;
  off.backups.emplace();
  off.backups->enabled = false;
  world.provider->set_at_risk({});
  world.commands->update_service(id, off, world.admin);
  world.settle();
  EXPECT_EQ(world.metrics.text().find("{service=\"" + id), std::string::npos);
}

TEST(ReconcilerTest, TheFirstBackupIsTakenAtOnceThenOneEachInterval) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  ASSERT_EQ(backups_of(world, id).size(), 1u);
  EXPECT_TRUE(backups_of(world, id).front().confirmed_at);
  world.clock.advance(std::chrono::hours(5));
  world.settle();
  EXPECT_EQ(backups_of(world, id).size(), 1u);
  world.clock.advance(std::chrono::hours(19));
  world.settle();
  EXPECT_EQ(backups_of(world, id).size(), 2u);
}

TEST(ReconcilerTest, RunsThatWereMissedAreCaughtUpByOne) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.clock.advance(std::chrono::hours(24 * 10));
  world.settle();
  world.settle();
  EXPECT_EQ(backups_of(world, id).size(), 2u);
}

TEST(ReconcilerTest, AManualBackupDoesNotMoveTheSchedule) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.clock.advance(std::chrono::hours(5));
  world.commands->schedule_backup(id, world.admin);
  world.settle();
  EXPECT_EQ(backups_of(world, id).size(), 2u);
  world.clock.advance(std::chrono::hours(19));
  world.settle();
  EXPECT_EQ(backups_of(world, id).size(), 3u);
}

TEST(ReconcilerTest, SwitchingBackupsOnTakesOneAtOnce) {
  ControlWorld world;
  const auto id = world.make_service().id;
  EXPECT_TRUE(backups_of(world, id).empty());
  UpdateServiceRequest on;
  on.backups = world.backups_request();
  world.commands->update_service(id, on, world.admin);
  world.settle();
  ASSERT_EQ(backups_of(world, id).size(), 1u);
  EXPECT_TRUE(backups_of(world, id).front().stored_at);
  EXPECT_EQ(world.count_events(id, "backups.enabled"), 1u);
}

TEST(ReconcilerTest, AFailedBackupIsTold) {
  ControlWorld world;
  world.provider->fail_next("confirm_backup", {core::Code::kCorruptData, "group 3 does not authenticate"});
  const auto id = world.make_service(true).id;
  const auto backup = backups_of(world, id).front();
  EXPECT_EQ(backup.state, model::BackupState::kFailed);
  EXPECT_FALSE(backup.confirmed_at);
  EXPECT_TRUE(backup.stored_at) << "a fact stays a fact";
  EXPECT_NE(backup.error.find("group 3"), std::string::npos);
  EXPECT_EQ(world.count_events(id, "backup.failed"), 1u);
}

TEST(ReconcilerTest, CompanionsRunWithAHigherEpochAfterEachStart) {
  const auto wait_for_epochs = [](ControlWorld& world, std::size_t wanted) {
    core::SystemClock real;
    for (int i = 0; i < 1000 && world.provider->epochs().size() < wanted; ++i) {
      real.wait({}, std::chrono::milliseconds(5));
    }
    return world.provider->epochs();
  };
  ControlWorld first;
  first.make_service(true);
  const auto epochs = wait_for_epochs(first, 1);
  ASSERT_EQ(epochs.size(), 1u);
  first.companions->stop_all();
  first.snapshot(first.directory / "next");
  ControlWorld second(first.directory / "next", first.provider);
  second.tick();
  const auto more = wait_for_epochs(second, 2);
  ASSERT_EQ(more.size(), 2u);
  EXPECT_GT(more[1], more[0]);
}

TEST(ReconcilerTest, NothingIsStartedForAnInstanceThatIsBeingRemoved) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  UpdateServiceRequest off;
  off.backups.emplace();
  off.backups->enabled = false;
  world.commands->update_service(id, off, world.admin);
  world.settle();
  world.commands->delete_service(id, FinalBackup::kSkip, world.admin);
  const auto before = world.calls().size();
  world.provider->set_liveness(instance_of(world, id), Liveness::kDead);
  world.tick();
  EXPECT_EQ(world.calls().size(), before);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(world.count_events(id, "server.died"), 0u);
}

TEST(ReconcilerTest, AFailedScheduledBackupIsTriedAgainSoon) {
  ControlWorld world;
  for (int i = 0; i < 10; ++i) world.provider->fail_next("take_backup", {core::Code::kStoreUnreachable, "away"});
  auto request = world.create_request();
  request.backups = world.backups_request();
  request.backups->interval_hours = 730;
  const auto id = world.commands->create_service(request, world.admin).service.id;
  for (int minutes = 0; minutes < 180; ++minutes) {
    world.settle();
    world.clock.advance(std::chrono::minutes(1));
    world.tick();
  }
  const auto backups = backups_of(world, id);
  EXPECT_TRUE(std::ranges::any_of(backups, [](const auto& it) { return it.state == model::BackupState::kFailed; }));
  EXPECT_TRUE(std::ranges::any_of(backups, [](const auto& it) { return it.confirmed_at.has_value(); }));
}

TEST(ReconcilerTest, ARenamedServiceIsSynchronizedAgainAfterTrouble) {
  ControlWorld world;
  const auto id = world.make_service().id;
  UpdateServiceRequest rename;
  rename.name = "renamed";
  world.commands->update_service(id, rename, world.admin);
  world.provider->set_liveness(instance_of(world, id), Liveness::kDead, "signal 9");
  world.tick();
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(ReconcilerTest, ARestartThatWaitsEndsWithItsService) {
  ControlWorld world;
  const auto id = world.make_service().id;
  for (int i = 0; i < 3; ++i) {
    world.provider->set_liveness(instance_of(world, id), Liveness::kDead, "again");
    world.tick();
    if (i < 2) world.settle();
  }
  const auto starts = [&] {
    const auto calls = world.calls();
    return std::ranges::count_if(calls, [](const auto& call) { return call.starts_with("start "); });
  };
  const auto before = starts();
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  for (int seconds = 0; seconds < 60; ++seconds) {
    world.settle();
    world.clock.advance(std::chrono::seconds(1));
  }
  OperationFilter all;
  all.limit = 1000;
  for (const auto& operation : world.queries->operations(all, world.admin)) {
    EXPECT_TRUE(model::is_terminal(operation.state)) << operation.kind;
  }
  EXPECT_EQ(starts(), before);
}

}  // namespace
}  // namespace backstay::control
