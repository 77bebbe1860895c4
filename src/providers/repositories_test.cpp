#include "providers/repositories.h"

#include <gtest/gtest.h>

#include "control/testing/memory_archive_memory.h"
#include "core/error.h"
#include "core/testing/manual_clock.h"
#include "os/file_system.h"
#include "providers/away_archives.h"

namespace backstay::providers {
namespace {

using core::Code;

class RepositoriesTest : public ::testing::Test {
 public:
  RepositoriesTest() : root_("/tmp/backstay-repositories-" + random_.token(12)) {
    files_.make_directories(root_ / "disk/a", 0700);
    target_.destination.id = "d";
    target_.destination.url = "file://" + (root_ / "disk/a").string();
    target_.recovery_key =
        repository::format_recovery_key(repository::TeamKey(repository::KeyBytes::generate(random_)));
  }
  ~RepositoriesTest() override { files_.remove_all(root_); }
  RepositoriesTest(const RepositoriesTest&) = delete;
  RepositoriesTest& operator=(const RepositoriesTest&) = delete;

 protected:
  /// As a server that starts has it.
  Repositories fresh() {
    blob::StorePolicy policy;
    policy.directory_roots = {root_ / "disk"};
    policy.create_directories = true;
    return {policy, {clock_, random_, nullptr, {}}, memory_};
  }
  core::Error refusal(Repositories& repositories) {
    EXPECT_THROW(repositories.open(target_), core::Error);
    try {
      repositories.create_or_open_own(target_, {});
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << "opened";
    return {Code::kInternal, "opened"};
  }

  os::RealFileSystem files_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  std::filesystem::path root_;
  control::testing::MemoryArchiveMemory memory_;
  control::BackupTarget target_;
};

TEST_F(RepositoriesTest, AKnownRepositoryIsNeverMadeAnew) {
  auto running = fresh();
  const auto id = running.create_or_open_own(target_, {})->id();
  EXPECT_EQ(running.open(target_)->id(), id);
  EXPECT_EQ(memory_.repository_id("d"), id);
  EXPECT_EQ(fresh().create_or_open_own(target_, {})->id(), id);

  std::filesystem::rename(root_ / "disk/a", root_ / "away");
  auto started = fresh();
  for (Repositories* repositories : {&running, &started}) {
    const auto error = refusal(*repositories);
    EXPECT_EQ(error.code(), Code::kStoreUnreachable);
    EXPECT_NE(error.message().find(id), std::string::npos) << error.message();
    EXPECT_NE(error.hint().find("mount"), std::string::npos) << error.hint();
  }
  EXPECT_FALSE(files_.stat(root_ / "disk/a")) << "a directory in place of the one that went";

  // Mounted, but empty.
  files_.make_directories(root_ / "disk/a", 0700);
  EXPECT_EQ(refusal(running).code(), Code::kStoreUnreachable);
  EXPECT_EQ(refusal(started).code(), Code::kStoreUnreachable);
  EXPECT_FALSE(files_.stat(root_ / "disk/a/backstay.json"));

  // The whole allowed root is gone.
  std::filesystem::rename(root_ / "disk", root_ / "disk away");
  EXPECT_EQ(refusal(started).code(), Code::kStoreUnreachable);
  std::filesystem::rename(root_ / "disk away", root_ / "disk");

  files_.remove_all(root_ / "disk/a");
  std::filesystem::rename(root_ / "away", root_ / "disk/a");
  EXPECT_EQ(running.create_or_open_own(target_, {})->id(), id);
  EXPECT_EQ(started.create_or_open_own(target_, {})->id(), id);
}

TEST_F(RepositoriesTest, AnotherRepositoryIsNotTakenForTheKnownOne) {
  const auto id = fresh().create_or_open_own(target_, {})->id();
  std::filesystem::rename(root_ / "disk/a", root_ / "away");
  files_.make_directories(root_ / "disk/a", 0700);
  auto stranger = target_;
  stranger.destination.id.clear();
  const auto other = fresh().create_or_open_own(stranger, {})->id();

  auto repositories = fresh();
  const auto error = refusal(repositories);
  EXPECT_EQ(error.code(), Code::kStoreUnreachable);
  EXPECT_NE(error.message().find(other), std::string::npos) << error.message();
  EXPECT_NE(error.message().find(id), std::string::npos) << error.message();
}

TEST_F(RepositoriesTest, WhatIsOnlyReadIsRememberedTooAndNeverMade) {
  auto repositories = fresh();
  EXPECT_THROW(repositories.open(target_), core::Error);
  EXPECT_FALSE(memory_.repository_id("d"));
  auto stranger = target_;
  stranger.destination.id.clear();
  const auto id = fresh().create_or_open_own(stranger, {})->id();
  EXPECT_EQ(repositories.open(target_)->id(), id);
  EXPECT_EQ(memory_.repository_id("d"), id);
}

TEST(AwayArchivesTest, TellWhatIsAtRiskSinceTheFirstFailure) {
  core::testing::ManualClock clock;
  AwayArchives away(clock);
  EXPECT_FALSE(away.at_risk("i"));
  away.note("i", core::Error(Code::kStoreUnreachable, "first").with_hint("mount it"), 10);
  clock.advance(std::chrono::minutes(2));
  away.note("i", core::Error(Code::kStoreUnreachable, "second").with_hint("mount it"), 20);
  const auto risk = away.at_risk("i");
  ASSERT_TRUE(risk);
  EXPECT_EQ(risk->bytes, 20U);
  EXPECT_EQ(risk->time, std::chrono::minutes(2));
  EXPECT_FALSE(risk->store_reachable);
  EXPECT_EQ(risk->last_error, "second; mount it");
  away.forget("i");
  EXPECT_FALSE(away.at_risk("i"));
}

}  // namespace
}  // namespace backstay::providers
