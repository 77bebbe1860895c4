#include "api/lnchr/resources.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace backstay::api::lnchr {
namespace {

using model::ServiceState;

TEST(LnchrResourcesTest, SplitsAPlaceIntoBucketAndPrefixAndBack) {
  for (const auto* url : {"s3://bucket", "s3://bucket/a", "s3://bucket/a/b"}) {
    EXPECT_EQ(url_of(place_of(url)), url);
  }
  EXPECT_EQ(place_of("s3://bucket/a/b").bucket, "bucket");
  EXPECT_EQ(place_of("s3://bucket/a/b").prefix, "a/b");
  EXPECT_EQ(place_of("file:///srv/backups").bucket, "file:///srv/backups");
  EXPECT_EQ(place_of("file:///srv/backups").prefix, "");
}

model::Service service_with(const std::string& details) {
  model::Service service;
  service.status.details = core::parse_json(details).as_object();
  return service;
}

TEST(LnchrResourcesTest, ReadsTheConnectionOutOfTheDetails) {
  const auto connection = connection_of(service_with(
      R"({"hostname":"db.example","port":5433,"dsn":"postgres://sh%40op@db.example:5433/ord-ers?sslmode=require"})"));
  EXPECT_EQ(connection.host, "db.example");
  EXPECT_EQ(connection.port, 5433);
  EXPECT_EQ(connection.user, "sh@op");
  EXPECT_EQ(connection.database, "ord-ers");
}

TEST(LnchrResourcesTest, TakesTheConfigWhereThereAreNoDetailsYet) {
  auto service = service_with("{}");
  service.config = core::parse_json(R"({"userName":"shop"})").as_object();
  const auto connection = connection_of(service);
  EXPECT_EQ(connection.user, "shop");
  EXPECT_EQ(connection.database, "");
  EXPECT_EQ(connection.port, 0);
  const auto shown = database_resource(service);
  for (const auto* field : {"host", "port", "database", "project_id", "restored_from", "error"}) {
    EXPECT_FALSE(shown.contains(field)) << field;
  }
}

TEST(LnchrResourcesTest, TellsWhatIsMadeFromWhatIsRestoredAndFromWhatFailed) {
  model::Service service;
  EXPECT_EQ(database_status(service), "creating");
  service.recovered_from["backupId"] = "x";
  EXPECT_EQ(database_status(service), "restoring");
  service.status.last_error = "no room";
  EXPECT_EQ(database_status(service), "failed");
  service.status.state = ServiceState::kSynchronized;
  EXPECT_EQ(database_status(service), "running") << "an error of before";
}

TEST(LnchrResourcesTest, ShowsNoKeysOfADestination) {
  model::Destination destination;
  destination.url = "s3://bucket";
  destination.access_key = core::Secret("AKIA");
  destination.secret_key = core::Secret("hidden");
  const auto text = core::to_text(destination_resource(destination));
  EXPECT_EQ(text.find("AKIA"), std::string::npos);
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_EQ(destination_resource(destination).at("provider"), "custom") << "one that named none";
}

TEST(LnchrResourcesTest, CallsABackupCompletedOnceItWasReadBack) {
  model::Backup backup;
  backup.state = model::BackupState::kRunning;
  backup.stored_at = core::parse_time("2026-04-10T12:00:00Z");
  auto shown = backup_resource(backup);
  EXPECT_EQ(shown.at("status"), "running");
  EXPECT_EQ(shown.at("stored_at"), "2026-04-10T12:00:00Z");
  EXPECT_FALSE(shown.contains("completed_at"));
  backup.state = model::BackupState::kCompleted;
  backup.confirmed_at = core::parse_time("2026-04-10T12:00:05Z");
  shown = backup_resource(backup);
  EXPECT_EQ(shown.at("status"), "completed");
  EXPECT_EQ(shown.at("completed_at"), "2026-04-10T12:00:05Z");
}

}  // namespace
}  // namespace backstay::api::lnchr
