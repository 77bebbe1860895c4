#include "api/house/resources.h"

#include <gtest/gtest.h>

namespace backstay::api::house {
namespace {

using model::ServiceState;

core::Timestamp at(const char* text) { return core::parse_time(text); }

control::ServiceView full_view() {
  control::ServiceView view;
  model::Service& service = view.service;
  service.id = "11111111-1111-4111-8111-111111111111";
  service.team_id = 123;
  service.name = "my-db";
  service.provider = {.name = "postgresql", .version = "15", .kind = "postgresql"};
  service.plan.id = 1;
  service.plan.parameters["storage"] = 10;
  service.plan.resources["storage"] = 10240;
  service.config["max_connections"] = "100";
  service.secrets["password"] = core::Secret("hidden");
  service.backups.enabled = true;
  service.backups.interval_h = 24;
  service.backups.retention_days = 7;
  service.backups.config["destinationPath"] = "s3://bucket/";
  service.backups.secrets["secretKey"] = core::Secret("hidden");
  service.created_at = at("2026-04-10T12:00:00Z");
  service.status.state = ServiceState::kSynchronized;
  model::Backup backup;
  backup.id = "22222222-2222-4222-8222-222222222222";
  backup.scheduled_at = at("2026-04-10T12:01:00Z");
  backup.initiated_at = at("2026-04-10T12:01:01.5Z");
  view.backups.push_back(backup);
  model::Event event;
  event.service_id = service.id;
  event.name = "service.synchronized";
  event.time = event.observed_at = at("2026-04-10T12:00:09Z");
  event.body = "the service runs";
  event.attributes["port"] = "20000";
  view.recent_events.push_back(event);
  return view;
}

TEST(ResourcesTest, RendersAServiceInTheContractsShape) {
  EXPECT_EQ(core::to_text(service_resource(full_view(), "http://h/api")),
            R"({"id":"11111111-1111-4111-8111-111111111111","name":"my-db",)"
            R"("provider":{"name":"postgresql","version":"15","schemaVersion":"15"},)"
            R"("plan":{"id":1,"parameters":{"storage":10}},"config":{"max_connections":"100"},)"
            R"("backups":{"enabled":true,"entries":[{"id":"22222222-2222-4222-8222-222222222222",)"
            R"("scheduledAt":"2026-04-10T12:01:00Z","initiatedAt":"2026-04-10T12:01:01.5Z"}],)"
            R"("intervalH":24,"deleteRetentionDays":7,"config":{"destinationPath":"s3://bucket/"}},)"
            R"("pause":false,"deletionProtection":false,"labels":{},"createdAt":"2026-04-10T12:00:00Z",)"
            R"("status":{"state":"synchronized",)"
            R"("detailsRef":"http://h/api/managed-services/11111111-1111-4111-8111-111111111111/details"},)"
            R"("recentEvents":[{"eventName":"service.synchronized","timestamp":"2026-04-10T12:00:09Z",)"
            R"("observedTimestamp":"2026-04-10T12:00:09Z","severityNumber":9,"body":"the service runs",)"
            R"("resource":"managed-services/11111111-1111-4111-8111-111111111111","attributes":{"port":"20000"}}]})");
}

TEST(ResourcesTest, ShowsBackupsThatAreOffWithTheirEntriesOnly) {
  auto view = full_view();
  view.service.backups.enabled = false;
  view.backups.clear();
  EXPECT_EQ(core::to_text(service_resource(view, "").at("backups")), R"({"enabled":false,"entries":[]})");
}

TEST(ResourcesTest, GivesEachStateItsFields) {
  auto view = full_view();
  const auto status = [&](ServiceState state) {
    view.service.status.state = state;
    return core::to_text(service_resource(view, "").at("status"));
  };
  EXPECT_EQ(status(ServiceState::kCreating), R"({"state":"creating"})");
  EXPECT_EQ(status(ServiceState::kInvalidProvider), R"({"state":"invalid provider"})");
  view.service.delete_requested_at = at("2026-04-11T00:00:00Z");
  view.service.deleted_at = at("2026-04-11T00:05:00Z");
  EXPECT_EQ(status(ServiceState::kDeleting), R"({"state":"deleting","deletedAt":"2026-04-11T00:00:00Z"})");
  EXPECT_EQ(status(ServiceState::kDeleted), R"({"state":"deleted","deletedAt":"2026-04-11T00:00:00Z"})");
  view.service.status.reason = "the server died";
  view.service.status.next_step = "look at its log";
  EXPECT_EQ(status(ServiceState::kUnknown),
            R"({"state":"unknown","reason":"the server died","nextStep":"look at its log"})");
}

TEST(ResourcesTest, NeverShowsSecretsOrTheTeam) {
  const auto text = core::to_text(service_resource(full_view(), ""));
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_EQ(text.find("teamId"), std::string::npos);
  model::Destination destination;
  destination.access_key = core::Secret("hidden");
  destination.secret_key = core::Secret("hidden");
  EXPECT_EQ(core::to_text(destination_resource(destination)).find("hidden"), std::string::npos);
  model::Team team;
  team.recovery_key = core::Secret("hidden");
  EXPECT_EQ(core::to_text(team_resource(team)).find("hidden"), std::string::npos);
  model::Token token;
  token.hash = "hidden";
  EXPECT_EQ(core::to_text(token_resource(token)).find("hidden"), std::string::npos);
  model::Operation operation;
  operation.secrets["secretKey"] = core::Secret("hidden");
  EXPECT_EQ(core::to_text(operation_resource(operation)).find("hidden"), std::string::npos);
}

TEST(ResourcesTest, TellsABackupsFourFactsApart) {
  model::Backup backup;
  backup.id = "b";
  backup.service_id = "s";
  backup.state = model::BackupState::kCompleted;
  backup.scheduled_at = at("2026-04-10T12:00:00Z");
  backup.taken_at = at("2026-04-10T12:00:01Z");
  backup.stored_at = at("2026-04-10T12:00:02Z");
  backup.timeline = 1;
  backup.start_lsn = 0x1'02000028;
  backup.stop_lsn = 0x1'02000100;
  const auto resource = backup_resource(backup);
  EXPECT_EQ(resource.at("takenAt"), "2026-04-10T12:00:01Z");
  EXPECT_EQ(resource.at("storedAt"), "2026-04-10T12:00:02Z");
  EXPECT_FALSE(resource.contains("confirmedAt"));
  EXPECT_FALSE(resource.contains("verifiedAt"));
  EXPECT_EQ(resource.at("startLsn"), "1/2000028");
}

TEST(ResourcesTest, ShowsWhatIsAtRisk) {
  const control::AtRisk risk{
      .bytes = 4096, .time = std::chrono::milliseconds(1500), .store_reachable = false, .last_error = "no route"};
  EXPECT_EQ(core::to_text(window_resource("s", {}, risk, {}).at("atRisk")),
            R"({"bytes":4096,"seconds":1.5E0,"storeReachable":false,"lastError":"no route"})");
}

TEST(ResourcesTest, ShowsHowTheChainStands) {
  model::ChainReport report;
  report.checked_at = at("2026-04-10T12:00:00Z");
  report.store_clock_offset = std::chrono::milliseconds(-1500);
  EXPECT_EQ(core::to_text(window_resource("s", {}, std::nullopt, report).at("chain")),
            R"({"intact":true,"problems":[],"checkedAt":"2026-04-10T12:00:00Z","storeClockOffsetSeconds":-1.5E0})");
  report = {};
  EXPECT_EQ(core::to_text(window_resource("s", {}, std::nullopt, report).at("chain")),
            R"({"intact":false,"problems":[]})")
      << "nobody has looked yet";
  report.problems.push_back(
      {model::ChainFault::kSlotStalled, "the slot stands still", at("2026-04-10T12:00:00Z"), true});
  EXPECT_EQ(core::to_text(window_resource("s", {}, std::nullopt, report).at("chain")),
            R"({"intact":false,"problems":[{"fault":"slotStalled","reason":"the slot stands still",)"
            R"("since":"2026-04-10T12:00:00Z","needsBackup":true}]})");
}

TEST(ResourcesTest, ShowsWindowAndGaps) {
  model::RecoveryWindow window;
  window.instance_id = "i";
  window.earliest = at("2026-04-10T12:00:00Z");
  window.latest = at("2026-04-10T13:00:00Z");
  window.gaps.push_back({.from = at("2026-04-10T12:10:00Z"), .to = at("2026-04-10T12:20:00Z"), .reason = "full"});
  EXPECT_EQ(core::to_text(window_resource("s", {window}, std::nullopt, std::nullopt)),
            R"({"gaps":[{"from":"2026-04-10T12:10:00Z","to":"2026-04-10T12:20:00Z","reason":"full"}],)"
            R"("earliest":"2026-04-10T12:00:00Z","latest":"2026-04-10T13:00:00Z","serviceId":"s",)"
            R"("windows":[{"gaps":[{"from":"2026-04-10T12:10:00Z","to":"2026-04-10T12:20:00Z","reason":"full"}],)"
            R"("instanceId":"i","earliest":"2026-04-10T12:00:00Z","latest":"2026-04-10T13:00:00Z"}]})");
}

}  // namespace
}  // namespace backstay::api::house
