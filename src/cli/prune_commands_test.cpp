#include "cli/prune_commands.h"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "cli/repository_access.h"
#include "cli/repository_commands.h"
#include "core/json.h"
#include "repository/manifest.h"

namespace backstay::cli {
namespace {

using std::chrono::days;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

/// A directory store with one instance, "shop".
class PruneCommandsTest : public ::testing::Test {
 public:
  PruneCommandsTest()
      : directory_(std::filesystem::temp_directory_path() / ("backstay-test-" + world_.random.token(12))) {
    world_.files.make_directories(directory_ / "store", 0700);
    unsetenv("BACKSTAY_RECOVERY_KEY");
    EXPECT_EQ(run({"repository", "init"}).code, 0);
    RepositoryAccess access;
    access.store = "file://" + (directory_ / "store").string();
    access.key_file = directory_ / "key";
    repository_ = access.open(world_, {});
    repository_->put_instance({.instance = instance_, .service_name = "shop"});
  }
  ~PruneCommandsTest() override { world_.files.remove_all(directory_); }

 protected:
  Outcome run(std::vector<std::string> arguments) {
    CLI::App program;
    add_repository_commands(program);
    arguments.insert(arguments.end(), {"--store", "file://" + (directory_ / "store").string(), "--key-file",
                                       (directory_ / "key").string()});
    std::ranges::reverse(arguments);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Outcome outcome;
    try {
      program.parse(arguments);
    } catch (const CLI::RuntimeError& e) {
      outcome.code = e.get_exit_code();
    }
    outcome.out = ::testing::internal::GetCapturedStdout();
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }
  /// A confirmed backup of so many days ago, by every clock.
  std::string put_backup(int days_ago) {
    const core::Timestamp time = world_.clock.now() - days(days_ago);
    repository::BackupRecord record;
    record.backup = world_.random.uuid();
    record.instance = instance_;
    record.start_time = record.stop_time = time;
    record.stored = record.confirmed = time;
    repository::ManifestWriter manifest(*repository_, instance_, record.backup, {});
    record.manifest_id = manifest.finish().id;
    repository_->put_backup(record);
    for (const auto& name : {repository::manifest_name(instance_, record.backup, {}),
                             repository::backup_record_name(instance_, record.backup, {})}) {
      std::filesystem::last_write_time(directory_ / "store" / name.key,
                                       std::filesystem::file_time_type::clock::from_sys(time));
    }
    return record.backup;
  }
  std::vector<std::string> listed() const {
    auto ids = repository_->backup_ids(instance_);
    std::ranges::sort(ids);
    return ids;
  }
  static std::vector<std::string> sorted(std::vector<std::string> ids) {
    std::ranges::sort(ids);
    return ids;
  }
  bool has_manifest(const std::string& backup) const {
    return repository_->store().head(repository::manifest_name(instance_, backup, {}).key).has_value();
  }

  LocalWorld world_;
  std::filesystem::path directory_;
  std::unique_ptr<repository::Repository> repository_;
  const std::string instance_ = world_.random.uuid();
};

TEST_F(PruneCommandsTest, PruneSaysWhatGoesAndWhyAndThenDoesIt) {
  const std::string old = put_backup(30);
  const std::string base = put_backup(20);
  const std::string young = put_backup(2);
  const std::vector<std::string> command{"repository", "prune", "--retention-days", "7", "--keep-last", "1"};

  auto dry = command;
  dry.emplace_back("--dry-run");
  const Outcome said = run(dry);
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.out.find("it is older than 7 days, and newer ones are confirmed"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("the recovery window of 7 days begins with it"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("condemn backup"), std::string::npos) << said.out;
  EXPECT_EQ(listed(), sorted({old, base, young}));

  ASSERT_EQ(run(command).code, 0);
  EXPECT_EQ(listed(), sorted({base, young}));
  EXPECT_TRUE(has_manifest(old)) << "hidden, and there for a day";
  auto at_once = command;
  at_once.insert(at_once.end(), {"--grace-hours", "0"});
  ASSERT_EQ(run(at_once).code, 0);
  EXPECT_FALSE(has_manifest(old));
  EXPECT_TRUE(has_manifest(base));
}

TEST_F(PruneCommandsTest, WithoutARetentionNothingAges) {
  put_backup(300);
  put_backup(200);
  put_backup(1);
  ASSERT_EQ(run({"repository", "prune", "--grace-hours", "0"}).code, 0);
  EXPECT_EQ(listed().size(), 3U);
  ASSERT_EQ(run({"repository", "prune", "--retention-days", "7"}).code, 0);
  EXPECT_EQ(listed().size(), 3U) << "three stay whatever their age";
}

TEST_F(PruneCommandsTest, JsonNamesEveryBackup) {
  put_backup(30);
  put_backup(20);
  const Outcome outcome = run({"repository", "prune", "--retention-days", "7", "--keep-last", "1", "-o", "json"});
  const core::json::value value = core::parse_json(outcome.out);
  ASSERT_EQ(value.at("backups").as_array().size(), 2U);
  EXPECT_EQ(value.at("steps").at(0).at("action").as_string(), "condemn backup");
  EXPECT_FALSE(value.at("dryRun").as_bool());
}

TEST_F(PruneCommandsTest, DeleteBackupTellsTheConsequenceAndKeepsTheLast) {
  const std::string first = put_backup(3);
  const std::string second = put_backup(2);
  const auto command = [](const std::string& id) {
    return std::vector<std::string>{"repository", "delete-backup", "--instance", "shop", "--backup", id};
  };
  EXPECT_EQ(run(command(world_.random.uuid())).code, 3);
  const Outcome outcome = run(command(first));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("no time before"), std::string::npos) << outcome.out;
  EXPECT_EQ(listed(), std::vector{second});

  const Outcome refused = run(command(second));
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("last confirmed backup of 'shop'"), std::string::npos) << refused.err;
  EXPECT_EQ(listed(), std::vector{second});
  auto forced = command(second);
  forced.emplace_back("--force");
  EXPECT_EQ(run(forced).code, 0);
  EXPECT_TRUE(listed().empty());
}

TEST_F(PruneCommandsTest, WhatARecoveredInstanceStillNeedsStays) {
  put_backup(30);
  put_backup(20);
  repository_->put_instance({.instance = world_.random.uuid(),
                             .service_name = "copy",
                             .branched_from = repository::Branch{.instance = instance_}});
  const Outcome outcome = run({"repository", "prune", "--retention-days", "7", "--keep-last", "1"});
  EXPECT_NE(outcome.out.find("was recovered from it and has no confirmed backup yet"), std::string::npos);
  EXPECT_EQ(listed().size(), 2U);
}

}  // namespace
}  // namespace backstay::cli
