// A deletion that is under way is asked for again, with another wish for the final backup.
#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

class DeleteAgainTest : public ::testing::Test {
 protected:
  std::string make() {
    auto id = world_.make_service(true).id;
    world_.settle();
    return id;
  }
  void fail(const std::string& what, core::Code code) {
    for (int i = 0; i < 2000; ++i) world_.provider->fail_next(what, core::Error(code, "not now"));
  }
  model::Operation ask(const std::string& id, FinalBackup wish) {
    return *world_.commands->delete_service(id, wish, world_.admin).operation;
  }
  std::vector<std::string> told(const std::string& id, FinalBackup wish) {
    return world_.commands->preview_deletion(id, wish, world_.admin).effects;
  }
  model::Backup final_backup(const std::string& id) {
    metadata::BackupFilter filter;
    filter.service_id = id;
    const auto backups = world_.database->read([&](auto& tx) { return metadata::Backups(tx).list(filter); });
    const auto found = std::ranges::find(backups, model::BackupOrigin::kFinal, &model::Backup::origin);
    return found == backups.end() ? model::Backup{} : *found;
  }

  ControlWorld world_;
};

class DeleteAgainWithTest : public DeleteAgainTest, public ::testing::WithParamInterface<FinalBackup> {};

TEST_P(DeleteAgainWithTest, AWeakerWishLetsItGoOnWithoutTheBackup) {
  const auto id = make();
  fail("take_backup", core::Code::kStoreUnreachable);
  const auto first = ask(id, FinalBackup::kRequired);
  world_.settle();
  ASSERT_EQ(world_.service(id).status.state, ServiceState::kDeleting);
  EXPECT_EQ(ask(id, GetParam()).id, first.id) << "it is the same deletion";
  world_.settle();  // at once, not after the pause of its attempts
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(final_backup(id).state, model::BackupState::kFailed) << "nothing stays that seems to be under way";
  EXPECT_EQ(world_.count_events(id, "service.deleting"), 2U) << "the new wish is told";
}

INSTANTIATE_TEST_SUITE_P(Wishes, DeleteAgainWithTest, ::testing::Values(FinalBackup::kSkip, FinalBackup::kBestEffort));

TEST_F(DeleteAgainTest, AnEqualOrStrongerWishChangesNothing) {
  const auto id = make();
  fail("take_backup", core::Code::kStoreUnreachable);
  ask(id, FinalBackup::kRequired);
  world_.settle();
  const auto nothing = told(id, FinalBackup::kRequired);
  ASSERT_EQ(nothing.size(), 1U);
  EXPECT_NE(nothing.front().find("nothing more happens"), std::string::npos);
  ask(id, FinalBackup::kRequired);
  world_.settle();
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleting);
  EXPECT_EQ(world_.count_events(id, "service.deleting"), 1U);
}

TEST_F(DeleteAgainTest, ADryRunTellsThatItGoesOnAndChangesNothing) {
  const auto id = make();
  fail("take_backup", core::Code::kStoreUnreachable);
  ask(id, FinalBackup::kRequired);
  world_.settle();
  const auto effects = told(id, FinalBackup::kSkip);
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_NE(effects.front().find("no final backup"), std::string::npos) << effects.front();
  world_.settle();
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleting);
}

TEST_F(DeleteAgainTest, ABackendThatNeverConfirmsIsNotWaitedForAnyMore) {
  world_.provider->move_elsewhere();
  const auto id = make();
  fail("take_backup", core::Code::kNotYet);
  ask(id, FinalBackup::kRequired);
  world_.settle();
  ASSERT_EQ(world_.service(id).status.state, ServiceState::kDeleting);
  ask(id, FinalBackup::kSkip);
  world_.clock.advance(std::chrono::minutes(1));
  world_.settle();
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleted);
}

TEST_F(DeleteAgainTest, BestEffortWaitsForABackendForAnHourAndNoLonger) {
  world_.provider->move_elsewhere();
  const auto id = make();
  fail("take_backup", core::Code::kNotYet);
  ask(id, FinalBackup::kBestEffort);
  const auto end = world_.clock.now() + std::chrono::minutes(55);
  while (world_.clock.now() < end) {
    world_.settle();
    world_.clock.advance(std::chrono::minutes(5));
  }
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleting);
  world_.clock.advance(std::chrono::minutes(10));
  world_.settle();
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(world_.count_events(id, "backup.failed"), 1U);
}

TEST_F(DeleteAgainTest, AConfirmedFinalBackupStaysGoodThoughTheRestIsNotArchived) {
  const auto id = make();
  world_.provider->set_store_takes_all(false);
  ask(id, FinalBackup::kBestEffort);
  world_.settle();
  EXPECT_EQ(world_.service(id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(final_backup(id).state, model::BackupState::kCompleted);
  EXPECT_TRUE(final_backup(id).error.empty());
}

}  // namespace
}  // namespace backstay::control
