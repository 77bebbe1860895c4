// What Cloudheed's clients see of backups, addresses, ids and pages.
#include <gtest/gtest.h>

#include "api/cloudheed/backups.h"
#include "api/cloudheed/call.h"
#include "api/cloudheed/databases.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;
using model::BackupState;

constexpr std::string_view kUuid = "9b0f0a58-6a7c-4c0e-8f0e-0a1b2c3d4e5f";

model::Backup completed_backup() {
  model::Backup backup;
  backup.id = kUuid;
  backup.service_id = kUuid;
  backup.state = BackupState::kCompleted;
  backup.scheduled_at = core::parse_time("2026-03-17T03:00:00.75Z");
  backup.confirmed_at = core::parse_time("2026-03-17T03:00:09.999Z");
  backup.data_bytes = 1073741824;
  backup.stored_bytes = 5;
  return backup;
}

core::Error refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error;
  }
  ADD_FAILURE() << "was accepted";
  return {core::Code::kInternal, ""};
}

TEST(CloudheedBackups, HaveTheStatusWordsOfTheGuide) {
  const std::vector<std::pair<BackupState, std::string_view>> words{
      {BackupState::kScheduled, "pending"},   {BackupState::kRunning, "in_progress"},
      {BackupState::kCompleted, "completed"}, {BackupState::kFailed, "failed"},
      {BackupState::kLost, "failed"},         {BackupState::kDeleting, "failed"}};
  auto backup = completed_backup();
  for (const auto& [state, word] : words) {
    backup.state = state;
    EXPECT_EQ(backup_status(backup), word);
  }
}

TEST(CloudheedBackups, AreManualIfTheirOwnerAskedForThemAlone) {
  auto backup = completed_backup();
  EXPECT_EQ(backup_object(backup, 7).at("type"), "manual");
  backup.schedule_id = kUuid;
  EXPECT_EQ(backup_object(backup, 7).at("type"), "automatic") << "its schedule keeps it and lets it go";
  backup.schedule_id.clear();
  backup.origin = model::BackupOrigin::kScheduled;
  EXPECT_EQ(backup_object(backup, 7).at("type"), "automatic");
}

TEST(CloudheedBackups, ShowWholeSecondsAndTheSizeOfTheData) {
  const auto object = backup_object(completed_backup(), 7);
  EXPECT_EQ(object.at("id"), json::value("backup-9b0f0a58-6a7c-4c0e-8f0e-0a1b2c3d4e5f"));
  EXPECT_EQ(object.at("database_id"), json::value("db-9b0f0a58-6a7c-4c0e-8f0e-0a1b2c3d4e5f"));
  EXPECT_EQ(object.at("instance_id"), object.at("database_id"));
  EXPECT_EQ(object.at("size_bytes"), 1073741824);
  EXPECT_EQ(object.at("created_at"), "2026-03-17T03:00:00Z");
  EXPECT_TRUE(object.at("started_at").is_null());
  EXPECT_EQ(object.at("completed_at"), "2026-03-17T03:00:09Z");
  EXPECT_FALSE(object.contains("name"));
}

TEST(CloudheedBackups, ExpireUnlessTheyWereAskedForToStay) {
  auto backup = completed_backup();
  backup.origin = model::BackupOrigin::kScheduled;
  EXPECT_EQ(backup_object(backup, 7).at("type"), "automatic");
  EXPECT_EQ(backup_object(backup, 7).at("expires_at"), "2026-03-24T03:00:00Z");
  backup.schedule_id = "5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11";
  EXPECT_TRUE(backup_object(backup, 7).at("expires_at").is_null()) << "its schedule decides";
  backup.expires_at = core::parse_time("2026-04-01T00:00:00Z");
  EXPECT_EQ(backup_object(backup, 7).at("expires_at"), "2026-04-01T00:00:00Z");
  backup.schedule_id.clear();
  backup.origin = model::BackupOrigin::kManual;
  backup.pinned = true;
  EXPECT_EQ(backup_object(backup, 7).at("type"), "manual");
  EXPECT_TRUE(backup_object(backup, 7).at("expires_at").is_null());
}

TEST(CloudheedDatabases, HaveAConnectionStringThatHidesThePassword) {
  model::Service service;
  EXPECT_TRUE(connection_string(service, std::nullopt).is_null());
  service.status.details = {{"dsn", "postgresql://app%40x@127.0.0.1:20001/shop?sslmode=require"}};
  EXPECT_EQ(connection_string(service, std::nullopt), "postgresql://app%40x:****@127.0.0.1:20001/shop?sslmode=require");
  EXPECT_EQ(connection_string(service, core::Secret("p/w@1")),
            "postgresql://app%40x:p%2Fw%401@127.0.0.1:20001/shop?sslmode=require");
}

TEST(CloudheedDatabases, HaveNamesByTheRule) {
  const auto schema = model::JsonSchema::compile(name_schema());
  const auto fits = [&](const std::string& name) {
    return schema.validate(json::value(json::string(name)), "").empty();
  };
  for (const auto* name : {"abc", "orders-2", "a1-b2-c3"}) EXPECT_TRUE(fits(name)) << name;
  EXPECT_TRUE(fits("a" + std::string(62, 'b')));
  EXPECT_FALSE(fits("a" + std::string(63, 'b')));
  for (const auto* name : {"ab", "1ab", "-ab", "ab-", "a--b", "aB1", "a_b", "a b", "abc\n"}) {
    EXPECT_FALSE(fits(name)) << name;
  }
}

TEST(CloudheedIds, AreUuidsBehindAWord) {
  http::Request request;
  request.params["id"] = "db-9B0F0A58-6a7c-4c0e-8f0e-0a1b2c3d4e5f";
  EXPECT_EQ(path_id(request, "id", kDatabaseId), kUuid);
  for (const auto* text :
       {"db-1", "9b0f0a58-6a7c-4c0e-8f0e-0a1b2c3d4e5f", "backup-9b0f0a58-6a7c-4c0e-8f0e-0a1b2c3d4e5f", ""}) {
    request.params["id"] = text;
    EXPECT_EQ(refusal([&] { path_id(request, "id", kDatabaseId); }).code(), core::Code::kNotFound) << text;
  }
  const auto error = refusal([&] { field_id("backup-1", kBackupId, "/backup_id"); });
  EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
  EXPECT_EQ(error.fields().front().pointer, "/backup_id");
}

TEST(CloudheedPages, HoldWhatTheyShould) {
  const json::array all{1, 2, 3, 4, 5};
  EXPECT_EQ(paged("items", all, {.number = 2, .size = 2}).at("items"), (json::array{3, 4}));
  EXPECT_EQ(paged("items", all, {.number = 3, .size = 2}).at("items"), json::array{json::value(5)});
  const auto beyond = paged("items", all, {.number = 1'000'000, .size = 100});
  EXPECT_TRUE(beyond.at("items").as_array().empty());
  EXPECT_EQ(core::to_text(beyond.at("meta")), R"({"page":1000000,"per_page":100,"total":5,"total_pages":1})");
}

}  // namespace
}  // namespace backstay::api::cloudheed
