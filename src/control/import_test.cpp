#include <gtest/gtest.h>

#include "control/body_loader.h"
#include "control/import_commands.h"
#include "control/testing/control_world.h"
#include "metadata/operations.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() : service_(world_.make_service()) { world_.spool.paths["/dumps/a.sql"] = "SELECT 1;"; }

  model::Operation upload(const std::string& content) {
    auto file = world_.imports->begin_upload(service_.id, std::nullopt, content.size(), world_.admin);
    file->write(content);
    return world_.imports->import_upload(service_.id, std::move(file), std::nullopt, world_.admin);
  }
  model::Operation operation(const std::string& id) {
    return world_.database->read([&](auto& tx) { return metadata::Operations(tx).require(id); });
  }
  std::string refusal(const ImportRequest& request, core::Code code) {
    try {
      world_.imports->import_dump(service_.id, request, world_.admin);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), code) << error.message();
      return error.fields().empty() ? error.message() : error.fields().front().pointer;
    }
    return "accepted";
  }
  std::string enter_destination(std::int64_t team, const std::string& url) {
    CreateDestinationRequest request{.team_id = team, .name = url, .config = {}, .secrets = {}};
    request.config = {{"destinationPath", url}, {"endpointUrl", "https://s3.example.org"}};
    request.secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}};
    return world_.commands->create_destination(request, world_.admin).destination.id;
  }
  std::size_t imports() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world_.calls(), [](const std::string& call) { return call.starts_with("import_dump "); }));
  }

  ControlWorld world_;
  model::Service service_;
};

TEST_F(ImportTest, AnUploadIsLoadedAndLeavesTheSpool) {
  const auto entered = upload("SELECT 1;");
  EXPECT_EQ(entered.kind, kinds::kImport);
  EXPECT_EQ(world_.spool.dumps.size(), 1u);
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kSucceeded);
  EXPECT_EQ(core::require_int(operation(entered.id).result, "statements"), 1);
  EXPECT_TRUE(world_.spool.dumps.empty());
  EXPECT_EQ(world_.count_events(service_.id, "import.started"), 1u);
  EXPECT_EQ(world_.count_events(service_.id, "import.finished"), 1u);
}

TEST_F(ImportTest, AUrlIsFetchedOnceAndStaysASecret) {
  world_.spool.urls["https://x.example/a?signature=s"] = "SELECT 1;";
  const auto entered =
      world_.imports->import_dump(service_.id, {.url = "https://x.example/a?signature=s"}, world_.admin);
  EXPECT_EQ(core::to_text(entered.request).find("signature"), std::string::npos);
  world_.provider->fail_next("import_dump", core::Error(core::Code::kDatabaseUnavailable, "gone"));
  world_.run_one();
  EXPECT_TRUE(world_.spool.contains(entered.id));
  world_.spool.urls.clear();
  world_.settle();
  world_.clock.advance(std::chrono::minutes(1));
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kSucceeded);
  EXPECT_TRUE(world_.spool.dumps.empty());
}

TEST_F(ImportTest, AnObjectOfTheTeamsOwnDestinationIsFetched) {
  const auto own = enter_destination(world_.team_id, "s3://own");
  const auto shared = enter_destination(0, "s3://shared");
  world_.spool.urls["s3://own/dumps/a.sql"] = world_.spool.urls["s3://shared/dumps/a.sql"] = "SELECT 1;";
  EXPECT_EQ(refusal({.path = "dumps/a.sql", .destination_id = shared}, core::Code::kInvalidArgument), "/destinationId");
  EXPECT_EQ(refusal({.destination_id = own, .url = "http://x"}, core::Code::kInvalidArgument), "/path");
  const auto entered =
      world_.imports->import_dump(service_.id, {.path = "dumps/a.sql", .destination_id = own}, world_.admin);
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kSucceeded);
  EXPECT_TRUE(world_.spool.dumps.empty());
}

TEST_F(ImportTest, WhatWasLoadedIsNotLoadedAgain) {
  const auto entered = upload("SELECT 1;");
  world_.provider->fail_next("import_done", core::Error(core::Code::kDatabaseUnavailable, "gone"));
  world_.run_one();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kQueued);
  world_.clock.advance(std::chrono::minutes(1));
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kSucceeded);
  EXPECT_EQ(imports(), 1u);
}

TEST_F(ImportTest, AFailureSaysWhatItMeansAndLeavesNothing) {
  const auto entered = upload("SELECT x;");
  world_.provider->fail_next("import_dump", core::Error(core::Code::kImportRefused, "line 1: ERROR: no x"));
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kFailed);
  EXPECT_TRUE(world_.spool.dumps.empty());
  EXPECT_EQ(world_.count_events(service_.id, "import.failed"), 1u);
  EXPECT_EQ(world_.service(service_.id).status.state, model::ServiceState::kSynchronized);
}

TEST_F(ImportTest, CanBeCancelled) {
  const auto entered = upload("SELECT 1;");
  world_.commands->cancel_operation(entered.id, world_.admin);
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kCancelled);
  EXPECT_EQ(imports(), 0u);
  EXPECT_EQ(world_.count_events(service_.id, "operation.cancelled"), 1u);
  // What a cancelled one leaves in the spool goes with a later one, or at the next start.
  clear_spool(*world_.database, world_.spool, world_.clock.now(), false);
  EXPECT_TRUE(world_.spool.dumps.empty());
}

TEST_F(ImportTest, TheSpoolKeepsWhatIsNeededOrYoung) {
  world_.spool.now = world_.clock.now();
  upload("SELECT 1;");
  world_.spool.dumps["young"] = "of another server";
  clear_spool(*world_.database, world_.spool, world_.clock.now() + std::chrono::hours(1), true);
  EXPECT_EQ(world_.spool.dumps.size(), 2u);
  clear_spool(*world_.database, world_.spool, world_.clock.now() + std::chrono::hours(25), true);
  EXPECT_EQ(world_.spool.dumps.size(), 1u);
}

TEST_F(ImportTest, RefusesWhatIsNotOneKnownSource) {
  EXPECT_EQ(refusal({}, core::Code::kInvalidArgument), "");
  EXPECT_EQ(refusal({.path = "/dumps/a.sql", .url = "http://x"}, core::Code::kInvalidArgument), "");
  EXPECT_EQ(refusal({.path = "/etc/passwd"}, core::Code::kPathNotAllowed), "/path");
  EXPECT_EQ(refusal({.url = "ftp://x"}, core::Code::kInvalidArgument), "/url");
  EXPECT_EQ(refusal({.backup_id = world_.random.uuid()}, core::Code::kInvalidArgument), "/backupId");
  EXPECT_EQ(refusal({.path = "/dumps/a.sql", .format = "zip"}, core::Code::kInvalidArgument), "/format");
  EXPECT_EQ(world_.count_events(service_.id, "import.started"), 0u);
}

TEST_F(ImportTest, ConflictsWithAnotherImport) {
  upload("SELECT 1;");
  EXPECT_NE(refusal({.path = "/dumps/a.sql"}, core::Code::kConflict).find("another dump"), std::string::npos);
  EXPECT_THROW(world_.imports->begin_upload(service_.id, std::nullopt, 1, world_.admin), core::Error);
}

TEST_F(ImportTest, ConflictsWhileTheServiceIsChangedPausedOrDeleted) {
  UpdateServiceRequest pause;
  pause.pause = true;
  world_.commands->update_service(service_.id, pause, world_.admin);
  EXPECT_NE(refusal({.path = "/dumps/a.sql"}, core::Code::kConflict).find("paused"), std::string::npos);
  world_.settle();
  EXPECT_NE(refusal({.path = "/dumps/a.sql"}, core::Code::kConflict).find("paused"), std::string::npos);
  world_.commands->delete_service(service_.id, FinalBackup::kSkip, world_.admin);
  EXPECT_NE(refusal({.path = "/dumps/a.sql"}, core::Code::kConflict).find("deleted"), std::string::npos);
}

TEST_F(ImportTest, ConflictsWhileTheServiceIsMade) {
  const auto made = world_.commands->create_service(world_.create_request("other"), world_.admin).service;
  try {
    world_.imports->import_dump(made.id, {.path = "/dumps/a.sql"}, world_.admin);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConflict);
    EXPECT_NE(error.message().find("creating"), std::string::npos);
  }
}

TEST_F(ImportTest, ConflictsWhileTheStorageIsFull) {
  const auto instance = world_.service(service_.id).status.instance_id;
  world_.database->write([&](auto& tx) {
    metadata::Settings(tx).put(storage_level_key(instance), std::string(kStorageFull));
    return true;
  });
  EXPECT_NE(refusal({.path = "/dumps/a.sql"}, core::Code::kConflict).find("storage"), std::string::npos);
}

TEST_F(ImportTest, ADeletionEndsIt) {
  const auto entered = upload("SELECT 1;");
  world_.commands->delete_service(service_.id, FinalBackup::kSkip, world_.admin);
  world_.settle();
  EXPECT_EQ(operation(entered.id).state, model::OperationState::kCancelled);
  EXPECT_EQ(imports(), 0u);
}

TEST_F(ImportTest, OthersDoNotSeeTheService) {
  Principal stranger;
  stranger.may_read = stranger.may_write = true;
  stranger.team_ids = {world_.team_id + 1};
  try {
    world_.imports->import_dump(service_.id, {.path = "/dumps/a.sql"}, stranger);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kNotFound);
  }
  stranger.may_write = false;
  EXPECT_THROW(world_.imports->begin_upload(service_.id, std::nullopt, 1, stranger), core::Error);
}

}  // namespace
}  // namespace backstay::control
