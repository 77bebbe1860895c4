#include "control/tier_rules.h"

#include <functional>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

constexpr std::uint64_t kMebibyte = 1 << 20;

class TierRulesTest : public ::testing::Test {
 protected:
  TierRulesTest() {
    world_.admin.may_delete = true;
    CreateDestinationRequest place;
    place.team_id = world_.team_id;
    place.name = "place";
    place.config = *world_.backups_request().config;
    place.secrets = *world_.backups_request().secrets;
    place.is_default = true;
    world_.commands->create_destination(place, world_.admin);
  }
  CreateServiceRequest request(const std::string& name, std::string_view tier) {
    auto made = world_.create_request(name);
    made.provider = {"postgres", "v1"};
    made.plan = {model::find_tier(tier)->plan_id, {}};
    return made;
  }
  std::string make(const std::string& name, std::string_view tier) {
    const auto id = world_.commands->create_service(request(name, tier), world_.admin).service.id;
    world_.settle();
    return id;
  }
  void measure(const std::string& id, std::uint64_t mebibytes) {
    world_.provider->set_storage_used(world_.service(id).status.instance_id, mebibytes * kMebibyte);
    world_.clock.advance(std::chrono::minutes(5));
    world_.settle();
  }
  model::Backup back_up(const std::string& id) {
    world_.clock.advance(std::chrono::minutes(1));
    auto backup = world_.commands->schedule_backup(id, world_.admin, {.pinned = true});
    world_.settle();
    return world_.queries->backup(backup.id, world_.admin);
  }
  void change_to(const std::string& id, std::string_view tier) {
    UpdateServiceRequest change;
    change.plan = {model::find_tier(tier)->plan_id, {}};
    world_.commands->update_service(id, change, world_.admin);
    world_.settle();
  }
  static core::Error refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << "was accepted";
    return {core::Code::kInternal, "accepted"};
  }

  ControlWorld world_;
};

TEST_F(TierRulesTest, BackupsComeWithTheTier) {
  const auto id = make("shop", "micro");
  auto service = world_.service(id);
  EXPECT_TRUE(service.backups.enabled);
  EXPECT_EQ(service.backups.interval_h, 24);
  EXPECT_EQ(service.backups.retention_days, 7);
  EXPECT_FALSE(service.backups.destination_id.empty());
  ASSERT_EQ(world_.queries->backups(id, world_.admin).size(), 1U);
  change_to(id, "large");
  service = world_.service(id);
  EXPECT_EQ(service.backups.retention_days, 30);
  EXPECT_EQ(service.plan.resources.at("connections"), 163);
}

TEST_F(TierRulesTest, OtherBackupsAreRefused) {
  auto wanted = request("shop", "micro");
  wanted.backups.emplace();
  wanted.backups->enabled = false;
  wanted.backups->interval_hours = 1;
  wanted.backups->retention_days = 3;
  const auto error = refusal([&] { world_.commands->create_service(wanted, world_.admin); });
  EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
  ASSERT_EQ(error.fields().size(), 3U);
  EXPECT_EQ(error.fields()[0].pointer, "/backups/enabled");
  EXPECT_EQ(error.fields()[1].pointer, "/backups/intervalH");
  EXPECT_EQ(error.fields()[2].pointer, "/backups/retentionDays");
  const auto id = make("shop", "micro");
  UpdateServiceRequest change;
  change.backups.emplace().enabled = false;
  EXPECT_EQ(refusal([&] { world_.commands->update_service(id, change, world_.admin); }).fields().front().pointer,
            "/backups/enabled");
}

TEST_F(TierRulesTest, ATeamHasOneFreeService) {
  const auto first = make("shop", "free");
  const auto error = refusal([&] { make("second", "free"); });
  EXPECT_EQ(error.code(), core::Code::kQuotaExceeded);
  EXPECT_EQ(error.fields().front().pointer, "/plan/id");
  const auto second = make("second", "micro");
  EXPECT_EQ(refusal([&] { change_to(second, "free"); }).code(), core::Code::kQuotaExceeded);
  UpdateServiceRequest change;
  change.plan = {model::find_tier("free")->plan_id, {}};
  EXPECT_EQ(refusal([&] { world_.commands->preview_update(second, change, world_.admin); }).code(),
            core::Code::kQuotaExceeded);
  world_.commands->delete_service(first, FinalBackup::kSkip, world_.admin);
  make("third", "free");
}

TEST_F(TierRulesTest, NobodyIsKeptFromABackupByTheNumberOfHisServices) {
  const auto id = make("shop", "free");
  auto wanted = request("shop-restored", "free");
  wanted.recover_from.emplace().backup_id = world_.queries->backups(id, world_.admin).front().id;
  world_.commands->create_service(wanted, world_.admin);
}

TEST_F(TierRulesTest, BackupsThatWereAskedForCount) {
  const auto id = make("shop", "free");  // 500 MiB; the automatic backup holds 30 and counts for nothing
  measure(id, 220);
  back_up(id);  // 220 + 220 wanted; it holds 30 in the end
  measure(id, 240);
  const auto error = refusal([&] { back_up(id); });  // 240 + 30 + 240
  EXPECT_EQ(error.code(), core::Code::kQuotaExceeded) << error.message();
  EXPECT_EQ(world_.queries->backups(id, world_.admin).size(), 2U);
  world_.commands->delete_backup(world_.queries->backups(id, world_.admin).front().id, world_.admin, Effect::kLasting,
                                 {.pinned_too = true, .only_manual = true});
  back_up(id);
}

TEST_F(TierRulesTest, WhatSchedulesKeepCountsAndARunThatIsAskedForNeedsRoom) {
  const auto id = make("shop", "free");  // 500 MiB
  const auto schedule =
      world_.schedule_commands
          ->create({.service_id = id, .cron = "0 2 * * *", .time_zone = "UTC", .retention_count = 100}, world_.admin)
          .schedule.id;
  measure(id, 220);
  const auto run = [&] {
    world_.clock.advance(std::chrono::minutes(1));
    world_.schedule_commands->run(schedule, world_.admin);
    world_.settle();
  };
  run();  // 220 + 220 wanted; it holds 30 in the end
  measure(id, 240);
  EXPECT_EQ(refusal(run).code(), core::Code::kQuotaExceeded);                   // 240 + 30 + 240
  EXPECT_EQ(refusal([&] { back_up(id); }).code(), core::Code::kQuotaExceeded);  // it counts for others too
  measure(id, 480);
  world_.clock.advance(std::chrono::hours(24));
  world_.settle();
  const auto runs = std::ranges::count(world_.queries->backups({.service_id = id}, world_.admin), schedule,
                                       &model::Backup::schedule_id);
  EXPECT_EQ(runs, 2) << "a run whose time has come is taken";
}

TEST_F(TierRulesTest, ASmallerTierMustHoldDataAndBackups) {
  const auto id = make("shop", "micro");
  back_up(id);
  measure(id, 480);
  const auto error = refusal([&] { change_to(id, "free"); });
  EXPECT_EQ(error.code(), core::Code::kQuotaExceeded) << error.message();
  EXPECT_EQ(error.fields().front().pointer, "/plan/id");
  measure(id, 600);
  EXPECT_EQ(refusal([&] { change_to(id, "free"); }).code(), core::Code::kPlanTooSmall);
  EXPECT_EQ(world_.service(id).plan.id, 11);
}

TEST_F(TierRulesTest, AutomaticBackupsAreManagedByTheSystem) {
  const auto id = make("shop", "micro");
  const auto automatic = world_.queries->backups(id, world_.admin).front();
  const auto manual = back_up(id);
  EXPECT_TRUE(manual.pinned);
  const BackupDeletion manual_only{.pinned_too = true, .only_manual = true};
  const auto error =
      refusal([&] { world_.commands->delete_backup(automatic.id, world_.admin, Effect::kLasting, manual_only); });
  EXPECT_EQ(error.code(), core::Code::kConflict);
  EXPECT_NE(error.message().find("managed by the system"), std::string::npos);
  EXPECT_EQ(refusal([&] { world_.commands->delete_backup(manual.id, world_.admin); }).code(), core::Code::kConflict);
  const auto deleted = world_.commands->delete_backup(manual.id, world_.admin, Effect::kLasting, manual_only);
  EXPECT_EQ(deleted.state, model::BackupState::kDeleting);
}

TEST_F(TierRulesTest, ATimeMustBeGranted) {
  const auto micro = make("shop", "micro");
  auto wanted = request("copy", "micro");
  wanted.recover_from.emplace().service_id = micro;
  wanted.recover_from->time = world_.clock.now();
  EXPECT_EQ(refusal([&] { world_.commands->create_service(wanted, world_.admin); }).code(), core::Code::kQuotaExceeded);
  const auto small = make("bigger", "small");
  wanted.recover_from->service_id = small;
  wanted.recover_from->time = world_.clock.now() - std::chrono::hours(7 * 24 + 1);
  const auto error = refusal([&] { world_.commands->create_service(wanted, world_.admin); });
  EXPECT_EQ(error.code(), core::Code::kRecoveryOutOfReach);
  EXPECT_NE(error.message().find("grants 7 days"), std::string::npos) << error.message();
}

TEST_F(TierRulesTest, AWindowIsWhatTheTierGrants) {
  const auto now = world_.clock.now();
  const auto ago = [&](int days) { return now - std::chrono::days(days); };
  const model::RecoveryWindow window{.earliest = ago(14), .latest = now, .gaps = {{ago(9), ago(8), "x"}}};
  model::Service service;
  service.provider = {"postgres", "v1", "postgresql"};
  service.plan.id = model::find_tier("small")->plan_id;
  auto granted = granted_window(service, window, now);
  EXPECT_EQ(granted.earliest, ago(7));
  EXPECT_EQ(granted.latest, now);
  EXPECT_TRUE(granted.gaps.empty());
  granted = granted_window(service, {.earliest = ago(14), .latest = ago(10)}, now);
  EXPECT_FALSE(granted.earliest || granted.latest);
  service.plan.id = model::find_tier("free")->plan_id;
  EXPECT_EQ(refusal([&] { granted_window(service, window, now); }).code(), core::Code::kQuotaExceeded);
  service.plan.id = 0;
  EXPECT_EQ(granted_window(service, window, now).earliest, ago(14));
}

}  // namespace
}  // namespace backstay::control
