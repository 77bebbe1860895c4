#include "api/guidewire/backup_resource.h"

#include <gtest/gtest.h>

#include "api/guidewire/planets.h"
#include "core/error.h"
#include "model/json_schema.h"

namespace backstay::api::guidewire {
namespace {

namespace json = core::json;
using model::BackupState;

control::ServiceName planet(model::Labels labels) {
  return {.id = "s1", .name = "orders", .labels = std::move(labels), .retention_days = 7, .deleted = false};
}

const control::ServiceName kPlanet = planet({{"guidewire.project", "test"}, {"guidewire.planet", "testbackup"}});

model::Backup backup() {
  model::Backup backup;
  backup.number = 362;
  backup.mechanism = model::BackupMechanism::kLogical;
  backup.state = BackupState::kCompleted;
  backup.scheduled_at = core::parse_time("2024-01-29T09:53:01.5Z");
  backup.initiated_at = core::parse_time("2024-01-29T09:53:09.25Z");
  backup.confirmed_at = core::parse_time("2024-01-29T09:55:20.75Z");
  backup.expires_at = core::parse_time("2024-01-30T09:53:01.5Z");
  return backup;
}

TEST(GuidewireBackupTest, IsThePrintedOne) {
  const auto resource = backup_resource(backup(), kPlanet, "example");
  EXPECT_EQ(core::to_text(resource),
            R"({"id":362,"mechanism":"logical","type":"temporary",)"
            R"("environment":{"tenant":"example","project":"test","stage":"dev","name":"testbackup"},)"
            R"("metadata":{"name":null,"description":null},"status":"succeeded","displayStatus":"ready",)"
            R"("errorMessage":null,"startedAt":"2024-01-29T09:53:09Z","completedAt":"2024-01-29T09:55:20Z",)"
            R"("expirationDate":"2024-01-30T09:00:00Z","databaseToApplicationBuilds":{}})");
  EXPECT_TRUE(model::JsonSchema::compile(backup_schema()).validate(resource).empty());
}

TEST(GuidewireBackupTest, EveryStateHasItsWords) {
  const auto words = [](BackupState state) {
    auto changed = backup();
    changed.state = state;
    changed.error = state == BackupState::kFailed ? "the disk is full" : "";
    const auto resource = backup_resource(changed, kPlanet, "example");
    EXPECT_TRUE(model::JsonSchema::compile(backup_schema()).validate(resource).empty());
    EXPECT_EQ(resource.at("completedAt").is_null(), state != BackupState::kCompleted);
    return core::to_text(json::array{resource.at("status"), resource.at("displayStatus"), resource.at("errorMessage")});
  };
  EXPECT_EQ(words(BackupState::kScheduled), R"(["pending","creating",null])");
  EXPECT_EQ(words(BackupState::kRunning), R"(["in_progress","creating",null])");
  EXPECT_EQ(words(BackupState::kCompleted), R"(["succeeded","ready",null])");
  EXPECT_EQ(words(BackupState::kFailed), R"(["failed","failed","the disk is full"])");
  EXPECT_EQ(words(BackupState::kLost), R"(["failed","failed",null])");
}

TEST(GuidewireBackupTest, TypesSayWhoRemovesIt) {
  const auto seen = [](auto change) {
    auto changed = backup();
    changed.expires_at.reset();
    change(changed);
    const auto resource = backup_resource(changed, kPlanet, "example");
    return core::to_text(json::array{resource.at("type"), resource.at("expirationDate")});
  };
  EXPECT_EQ(seen([](auto& it) { it.pinned = true; }), R"(["permanent",null])");
  EXPECT_EQ(seen([](auto&) {}), R"(["temporary","2024-02-05T09:00:00Z"])") << "the service's retention";
  EXPECT_EQ(seen([](auto& it) { it.origin = model::BackupOrigin::kScheduled; }),
            R"(["scheduled","2024-02-05T09:00:00Z"])");
  EXPECT_EQ(seen([](auto& it) { it.schedule_id = "nightly"; }), R"(["scheduled",null])");
}

TEST(GuidewirePlanetsTest, AreFoundByTheirLabels) {
  const std::vector<control::ServiceName> services{
      planet({}), planet({{"guidewire.project", "test"}}), kPlanet,
      planet({{"guidewire.project", "live"}, {"guidewire.stage", "PROD"}, {"guidewire.backups-project", "pre"}})};
  EXPECT_EQ(&require_planet(services, "test", "orders"), &services[1]) << "the name, without a label";
  EXPECT_EQ(&require_planet(services, "test", "testbackup"), &services[2]);
  EXPECT_THROW(require_planet(services, "live", "testbackup"), core::Error);
  EXPECT_EQ(stage_of(services[1]), "dev");
  EXPECT_EQ(stage_of(services[3]), "prod");
  EXPECT_EQ(backups_project_of(services[0]), "") << "no planet";
  EXPECT_EQ(backups_project_of(services[2]), "test");
  EXPECT_EQ(backups_project_of(services[3]), "pre");
}

TEST(GuidewirePlanetsTest, OneNameForTwoIsNoPlanet) {
  try {
    require_planet({kPlanet, kPlanet}, "test", "testbackup");
    FAIL() << "one of the two was taken";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConflict);
  }
}

TEST(GuidewirePlanetsTest, DeletedOnesTakeNoBackups) {
  auto gone = kPlanet;
  gone.deleted = true;
  EXPECT_THROW(require_planet({gone}, "test", "testbackup"), core::Error);
}

}  // namespace
}  // namespace backstay::api::guidewire
