#include "control/refusal_events.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class RefusalEventsTest : public ::testing::Test {
 protected:
  RefusedRequest of_service(const std::string& id, const std::string& code = "conflict") {
    return {.kind = events::kServiceRefused,
            .service_id = id,
            .call = "managed-services-delete",
            .summary = "Delete a service",
            .code = code,
            .reason = "wait",
            .trace_id = "abc"};
  }
  std::vector<model::Event> told(EventKind kind = events::kServiceRefused) {
    return world_.queries->events({.names = {std::string(kind.name)}}, world_.admin);
  }

  ControlWorld world_;
  RefusalEvents refusals_{*world_.database, world_.clock, world_.random};
};

TEST_F(RefusalEventsTest, TellsOncePerMinuteOfOneCallAndCode) {
  const auto id = world_.make_service().id;
  refusals_.record(of_service(id), world_.admin);
  refusals_.record(of_service(id), world_.admin);
  ASSERT_EQ(told().size(), 1U);
  const auto event = told().front();
  EXPECT_EQ(event.service_id, id);
  EXPECT_EQ(event.severity, model::kSeverityWarning);
  EXPECT_EQ(event.attributes.at("code"), "conflict");
  EXPECT_EQ(event.attributes.at("operation"), "managed-services-delete");
  EXPECT_EQ(event.attributes.at("trace.id"), "abc");
  EXPECT_EQ(event.body, "a request was refused and changed nothing: Delete a service (conflict); wait");
  refusals_.record(of_service(id, "forbidden"), world_.admin);
  EXPECT_EQ(told().size(), 2U);
  world_.clock.advance(RefusalEvents::kPause);
  refusals_.record(of_service(id), world_.admin);
  EXPECT_EQ(told().size(), 3U);
}

TEST_F(RefusalEventsTest, FindsTheServiceOfABackupAndTheTeamOfWhatWasNotMade) {
  const auto service = world_.make_service(true);
  const auto backup = world_.queries->backups(service.id, world_.admin).front().id;
  refusals_.record({.kind = events::kBackupRefused, .backup_id = backup}, world_.admin);
  ASSERT_EQ(told(events::kBackupRefused).size(), 1U);
  EXPECT_EQ(told(events::kBackupRefused).front().service_id, service.id);
  refusals_.record({.kind = events::kRecoveryRefused, .team_id = world_.team_id}, world_.admin);
  ASSERT_EQ(told(events::kRecoveryRefused).size(), 1U);
  EXPECT_EQ(told(events::kRecoveryRefused).front().team_id, world_.team_id);
}

TEST_F(RefusalEventsTest, TellsNothingOfWhatTheTokenDoesNotSee) {
  const auto id = world_.make_service().id;
  Principal stranger = world_.admin;
  stranger.admin = stranger.all_teams = false;
  stranger.team_ids = {world_.team_id + 1};
  refusals_.record(of_service(id), stranger);
  refusals_.record({.kind = events::kServiceRefused, .team_id = world_.team_id}, stranger);
  refusals_.record(of_service("no such service"), world_.admin);
  refusals_.record({.kind = events::kServiceRefused, .team_id = 99}, world_.admin);
  EXPECT_TRUE(told().empty());
  refusals_.record(of_service(id), world_.admin);
  EXPECT_EQ(told().size(), 1U) << "what others tried holds nothing up";
}

}  // namespace
}  // namespace backstay::control
