#include "control/operation_runner.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using model::OperationState;
using model::ServiceState;
using testing::ControlWorld;

std::size_t count(const std::vector<std::string>& calls, std::string_view what) {
  return static_cast<std::size_t>(std::count_if(
      calls.begin(), calls.end(), [&](const std::string& call) { return call.starts_with(std::string(what) + " "); }));
}

/// Runs `work` in one process and kills that at the first call of `step`: what the state holds then is what a process
/// that starts later works with.
class KilledAt {
 public:
  template <typename Work>
  KilledAt(const std::string& step, const Work& work) : first(), killed(first.directory / "killed") {
    first.provider->on_call([&](const std::string& what, WorkContext&) {
      if (what == step && !std::filesystem::exists(killed)) first.snapshot(killed);
    });
    work(first);
    first.provider->on_call({});
    EXPECT_TRUE(std::filesystem::exists(killed)) << "the step '" << step << "' was never reached";
    second = std::make_unique<ControlWorld>(killed, first.provider);
  }

  ControlWorld first;
  std::filesystem::path killed;
  std::unique_ptr<ControlWorld> second;
};

TEST(OperationRunnerTest, ACreateThatWasKilledInAStepContinuesWithThatStep) {
  std::string id;
  KilledAt kill("provision", [&](ControlWorld& world) { id = world.make_service().id; });
  const auto before = count(kill.first.calls(), "provision");
  EXPECT_EQ(kill.second->service(id).status.state, ServiceState::kCreating);
  kill.second->settle();
  EXPECT_EQ(kill.second->service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(count(kill.second->calls(), "provision"), before + 1);
  const auto operations =
      kill.second->queries->operations({.service_id = id, .team_id = {}, .limit = 10}, kill.second->admin);
  ASSERT_EQ(operations.size(), 1u);
  EXPECT_EQ(operations.front().state, OperationState::kSucceeded);
  EXPECT_EQ(operations.front().attempts, 2);
}

TEST(OperationRunnerTest, ABackupThatWasKilledWhileItWasConfirmedIsNotTakenAgain) {
  std::string id;
  KilledAt kill("confirm_backup", [&](ControlWorld& world) { id = world.make_service(true).id; });
  kill.second->settle();
  EXPECT_EQ(count(kill.second->calls(), "take_backup"), 1u);
  EXPECT_EQ(count(kill.second->calls(), "confirm_backup"), 2u);
  const auto backups = kill.second->queries->backups(id, kill.second->admin);
  ASSERT_EQ(backups.size(), 1u);
  EXPECT_TRUE(backups.front().confirmed_at);
  EXPECT_EQ(backups.front().state, model::BackupState::kCompleted);
}

TEST(OperationRunnerTest, ABackupThatWasKilledWhileItWasTakenIsTakenAgainUnderTheSameId) {
  std::string id;
  KilledAt kill("take_backup", [&](ControlWorld& world) { id = world.make_service(true).id; });
  kill.second->settle();
  const auto backups = kill.second->queries->backups(id, kill.second->admin);
  ASSERT_EQ(backups.size(), 1u);
  const auto calls = kill.second->calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "take_backup " + backups.front().id), 2);
  EXPECT_TRUE(backups.front().confirmed_at);
}

TEST(OperationRunnerTest, AChangeAndADeletionThatWereKilledContinueToo) {
  std::string id;
  KilledAt update("apply", [&](ControlWorld& world) {
    id = world.make_service().id;
    UpdateServiceRequest change;
    change.config = core::json::object{{"max_connections", "200"}};
    world.commands->update_service(id, change, world.admin);
    world.settle();
  });
  EXPECT_EQ(update.second->service(id).status.state, ServiceState::kUpdating);
  update.second->settle();
  EXPECT_EQ(update.second->service(id).status.state, ServiceState::kSynchronized);

  KilledAt removal("destroy", [&](ControlWorld& world) {
    id = world.make_service().id;
    world.commands->delete_service(id, FinalBackup::kSkip, world.admin);
    world.settle();
  });
  EXPECT_EQ(removal.second->service(id).status.state, ServiceState::kDeleting);
  removal.second->settle();
  EXPECT_THROW(removal.second->service(id), core::Error);
}

TEST(OperationRunnerTest, ARecoveryThatWasKilledContinuesWithItsPlan) {
  std::string id;
  KilledAt kill("recover", [&](ControlWorld& world) {
    const auto source = world.make_service(true);
    auto request = world.create_request("recovered");
    request.recover_from.emplace();
    request.recover_from->service_id = source.id;
    id = world.commands->create_service(request, world.admin).service.id;
    world.settle();
  });
  kill.second->settle();
  EXPECT_EQ(kill.second->service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(kill.second->count_events(id, "recovery.finished"), 1u);
}

TEST(OperationRunnerTest, RetryableErrorsAreTriedAgainWithGrowingPauses) {
  ControlWorld world;
  for (int i = 0; i < 2; ++i) {
    world.provider->fail_next("provision", {core::Code::kDatabaseUnavailable, "not yet"});
  }
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  EXPECT_TRUE(world.run_one());
  EXPECT_FALSE(world.run_one()) << "the second attempt must wait";
  auto operation = world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front();
  EXPECT_EQ(operation.state, OperationState::kQueued);
  EXPECT_EQ(operation.error.at("message").as_string(), "not yet");
  world.clock.advance(std::chrono::seconds(1));
  EXPECT_TRUE(world.run_one());
  world.clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(world.run_one()) << "the second pause is longer";
  world.clock.advance(std::chrono::seconds(1));
  EXPECT_TRUE(world.run_one());
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(world.count_events(id, "operation.retrying"), 2u);
}

TEST(OperationRunnerTest, ARetryIsToldOnce) {
  ControlWorld world;
  world.provider->fail_next("provision", {core::Code::kDatabaseUnavailable, "not yet, because"});
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  ::testing::internal::CaptureStderr();
  world.run_one();
  const auto log = ::testing::internal::GetCapturedStderr();
  const auto first = log.find("not yet, because");
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("not yet, because", first + 1), std::string::npos) << log;
  EXPECT_EQ(world.count_events(id, "operation.retrying"), 1u);
}

TEST(OperationRunnerTest, ACreateThatFailsLeavesItsReasonAndCanBeDeleted) {
  ControlWorld world;
  world.provider->fail_next("provision", {core::Code::kInternal, "initdb said no"});
  auto request = world.create_request();
  request.backups = world.backups_request();
  const auto id = world.commands->create_service(request, world.admin).service.id;
  world.settle();
  const auto service = world.service(id);
  EXPECT_EQ(service.status.state, ServiceState::kCreating);
  EXPECT_NE(service.status.reason.find("initdb said no"), std::string::npos);
  EXPECT_FALSE(service.status.next_step.empty());
  EXPECT_EQ(world.count_events(id, "service.create_failed"), 1u);
  EXPECT_EQ(count(world.calls(), "destroy"), 1u) << "what was made of it is taken back";
  const auto operation = world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front();
  EXPECT_EQ(operation.state, OperationState::kFailed);
  EXPECT_EQ(operation.error.at("code").as_string(), "internal");

  world.commands->delete_service(id, FinalBackup::kSkip, world.admin);
  world.settle();
  EXPECT_THROW(world.service(id), core::Error);
}

TEST(OperationRunnerTest, RetriesEnd) {
  ControlWorld world;
  for (int i = 0; i < 50; ++i) world.provider->fail_next("provision", {core::Code::kIoError, "bad disk"});
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  for (int i = 0; i < 50; ++i) {
    world.settle();
    world.clock.advance(std::chrono::minutes(5));
  }
  EXPECT_EQ(count(world.calls(), "provision"), 8u);
  EXPECT_EQ(world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front().state,
            OperationState::kFailed);
}

TEST(OperationRunnerTest, ARunningOperationIsCancelledAndTakenBack) {
  ControlWorld world;
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  const auto operation_id =
      world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front().id;
  bool undone_with_stop = true;
  world.provider->on_call([&](const std::string& what, WorkContext& context) {
    if (what == "destroy") undone_with_stop = context.stop().stop_requested();
    if (what != "provision") return;
    world.commands->cancel_operation(operation_id, world.admin);
    EXPECT_TRUE(context.stop().stop_requested());
    throw core::Error(core::Code::kCancelled, "stopped");
  });
  world.settle();
  EXPECT_EQ(world.queries->operation(operation_id, world.admin).state, OperationState::kCancelled);
  EXPECT_FALSE(undone_with_stop) << "taking back must not be stopped by what it follows";
  EXPECT_EQ(world.count_events(id, "operation.cancelled"), 1u);
  EXPECT_THROW(world.commands->cancel_operation(operation_id, world.admin), core::Error);
}

TEST(OperationRunnerTest, AQueuedOperationIsCancelledAtOnce) {
  ControlWorld world;
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  const auto operation_id =
      world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front().id;
  world.commands->cancel_operation(operation_id, world.admin);
  EXPECT_EQ(world.queries->operation(operation_id, world.admin).state, OperationState::kCancelled);
  EXPECT_NE(world.service(id).status.reason.find("cancelled"), std::string::npos);
  world.settle();
  EXPECT_EQ(count(world.calls(), "provision"), 0u);
}

TEST(OperationRunnerTest, AServerThatStopsPutsItsWorkBack) {
  ControlWorld world;
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  std::stop_source stopping;
  world.provider->on_call([&](const std::string&, WorkContext& context) {
    stopping.request_stop();
    EXPECT_TRUE(context.stop().stop_requested());
    throw core::Error(core::Code::kCancelled, "stopped");
  });
  EXPECT_TRUE(world.runner->run_one(stopping.get_token()));
  world.provider->on_call({});
  EXPECT_EQ(world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front().state,
            OperationState::kQueued);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(OperationRunnerTest, OneOperationOfAServiceRunsAtATime) {
  ControlWorld world;
  const auto service = world.make_service();
  UpdateServiceRequest change;
  change.config = core::json::object{{"max_connections", "200"}};
  world.commands->update_service(service.id, change, world.admin);
  change.config = core::json::object{{"max_connections", "300"}};
  world.commands->update_service(service.id, change, world.admin);
  bool ran_beside = true;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what != "apply" || !ran_beside) return;
    ran_beside = world.run_one();
  });
  EXPECT_TRUE(world.run_one());
  EXPECT_FALSE(ran_beside);
  EXPECT_TRUE(world.run_one());
  EXPECT_EQ(world.service(service.id).status.observed_generation, 3);
}

TEST(OperationRunnerTest, ProgressIsWrittenAtMostFourTimesASecond) {
  ControlWorld world;
  const auto id = world.commands->create_service(world.create_request(), world.admin).service.id;
  const auto operation_id =
      world.queries->operations({.service_id = id, .team_id = {}, .limit = 1}, world.admin).front().id;
  std::uint64_t writes = 0;
  world.provider->on_call([&](const std::string& what, WorkContext& context) {
    if (what != "provision") return;
    auto version = world.feed.version(operation_id);
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      context.progress("copy", i, 2000);
      world.clock.advance(std::chrono::milliseconds(1));
      const auto now = world.feed.version(operation_id);
      if (now != version) ++writes;
      version = now;
    }
    EXPECT_EQ(world.queries->operation(operation_id, world.admin).progress.at("phase").as_string(), "copy");
  });
  world.run_one();
  EXPECT_GE(writes, 3u);
  EXPECT_LE(writes, 5u);
}

}  // namespace
}  // namespace backstay::control
