#include "control/external_services.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class ExternalServicesTest : public ::testing::Test {
 protected:
  ExternalServicesTest() {
    caller_.token_name = "platform";
    caller_.may_read = caller_.may_write = caller_.may_delete = true;
    caller_.team_ids = {world_.team_id};
    services_.create(
        offer_, {.id = "db-1", .team_id = 4711, .plan = {}, .config = {}, .secrets = {}, .recover_from = {}}, caller_);
    world_.settle();
  }
  ExternalBackupOrder order(const std::string& id, std::optional<std::int64_t> retention_days) {
    const auto store = world_.backups_request();
    return {.id = id,
            .service_id = "db-1",
            .team_id = 4711,
            .config = *store.config,
            .secrets = *store.secrets,
            .retention_days = retention_days};
  }
  model::BackupSettings backups() {
    return world_.queries->services(world_.team_id, false, world_.admin).front().service.backups;
  }
  core::Code code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  }

  ControlWorld world_;
  ExternalServices services_{{*world_.database, *world_.registry, *world_.commands, world_.clock, world_.random}};
  ExternalProvider offer_{"postgres", "v1"};
  Principal caller_;
};

TEST_F(ExternalServicesTest, ABackupWhoseOrderWasLostIsUnknownAndNoError) {
  const auto unknown = services_.backup(offer_, "b-1", "db-1", caller_);
  EXPECT_FALSE(unknown.exists);
  EXPECT_TRUE(unknown.error.empty());
  services_.order_backup(offer_, order("b-1", 3), caller_);
  world_.settle();
  EXPECT_TRUE(services_.backup(offer_, "b-1", "db-1", caller_).exists);
}

TEST_F(ExternalServicesTest, NothingIsSaidOfABackupOfAnUnknownService) {
  EXPECT_EQ(code_of([&] { services_.backup(offer_, "b-1", "db-2", caller_); }), core::Code::kNotFound);
  Principal stranger = caller_;
  stranger.team_ids = {world_.commands->create_team({"other", std::nullopt}, world_.admin).id};
  EXPECT_EQ(code_of([&] { services_.backup(offer_, "b-1", "db-1", stranger); }), core::Code::kNotFound);
}

TEST_F(ExternalServicesTest, ARetentionThatCannotBeKeptIsRefusedAndNoBackupOrdered) {
  EXPECT_EQ(code_of([&] { services_.order_backup(offer_, order("b-1", 366), caller_); }), core::Code::kInvalidArgument);
  EXPECT_FALSE(backups().enabled);
  services_.order_backup(offer_, order("b-1", 365), caller_);
  EXPECT_EQ(backups().retention_days, 365);
}

TEST_F(ExternalServicesTest, ARetentionThatTheCallerLeavesOpenIsTheLongest) {
  services_.order_backup(offer_, order("b-1", std::nullopt), caller_);
  EXPECT_EQ(backups().retention_days, 365);
}

TEST_F(ExternalServicesTest, AVersionThatNobodyOffersIsRefused) {
  ExternalCreation wanted{.id = "db-2",
                          .team_id = 4711,
                          .plan = {},
                          .config = {},
                          .secrets = {},
                          .recover_from = {},
                          .app_version = "1.0.0"};
  EXPECT_EQ(code_of([&] { services_.create(offer_, wanted, caller_); }), core::Code::kNotSupported);
  EXPECT_EQ(code_of([&] {
              services_.change(offer_, "db-1",
                               {.plan = {}, .config = {}, .secrets = {}, .pause = {}, .app_version = "1.0.0"}, caller_);
            }),
            core::Code::kNotSupported);
  EXPECT_EQ(services_.list(offer_, caller_), std::vector<std::string>{"db-1"});
}

}  // namespace
}  // namespace backstay::control
