// What a backup that shares packs with an earlier one is confirmed upon.
#include "backup/confirm.h"

#include "backup/incremental_facts.h"
#include "backup/known_damage.h"
#include "os/file_system.h"
#include "os/process.h"
#include "repository/testing/prune_fixture.h"

namespace backstay::backup {
namespace {

using repository::BackupRecord;
using repository::testing::Attempt;
using repository::testing::id;
using repository::testing::kInstance;

/// Backup 2 has a pack of backup 1, which is damaged where a look at its group table does not show it.
class ConfirmUponABaseTest : public repository::testing::PruneTest {
 protected:
  ConfirmUponABaseTest() {
    put_segments(10, 21);
    const auto shared = take(1);
    EXPECT_TRUE(confirm(1).ok());
    shared_ = repository::pack_key(shared.extents.front().position.pack);
    take(2, kInstance, shared);
    auto record = get(2);
    put_facts(record, {.base = id(1), .depth = 1, .full_time = get(1).start_time});
    repository_->put_backup(record);
    memory_->corrupt(shared_, 100);
  }
  BackupRecord get(int number) { return *repository_->backup(kInstance, id(number)); }
  repository::VerifyReport confirm(int number, const std::function<void()>& meanwhile = [] {}) {
    os::RealFileSystem files;
    os::SystemProcessRunner processes;
    const auto progress = [&, first = true](const Progress&) mutable {
      if (std::exchange(first, false)) meanwhile();
    };
    return confirm_backup({clock_, random_, files, processes}, *repository_, kInstance, id(number), progress, {}, 1,
                          ReadBack::kOwn);
  }
  void condemn(int number) { memory_->put(repository::condemned_name(kInstance, id(number)).key, {}); }
  void expect_read_in_full(const repository::VerifyReport& report) {
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.problems.front().object, shared_);
    EXPECT_FALSE(get(2).confirmed);
    EXPECT_NE(get(2).problem, "");
  }

  std::string shared_;
};

TEST_F(ConfirmUponABaseTest, WhatWasReadBackBeforeIsTakenOnTrust) {
  EXPECT_TRUE(confirm(2).ok());
  EXPECT_TRUE(get(2).confirmed);
}

TEST_F(ConfirmUponABaseTest, ABaseWithAProblemIsNotAlsoWhenItIsCondemned) {
  note_problem(*repository_, get(1), "its pack is damaged");
  condemn(1);
  expect_read_in_full(confirm(2));
}

TEST_F(ConfirmUponABaseTest, NorIsACondemnedOneOfWhichNobodyNotesAnythingMore) {
  condemn(1);
  expect_read_in_full(confirm(2));
}

TEST_F(ConfirmUponABaseTest, WhatIsFoundAgainstTheBaseMeanwhileCounts) {
  expect_read_in_full(confirm(2, [&] { note_problem(*repository_, get(1), "its pack is damaged"); }));
}

TEST_F(ConfirmUponABaseTest, WhatIsFoundAgainstItMeanwhileIsNotForgotten) {
  expect_read_in_full(confirm(2, [&] { note_problem(*repository_, get(2), "its pack is damaged"); }));
}

TEST_F(ConfirmUponABaseTest, AnAttemptThatCameMeanwhileIsReadItself) {
  Attempt later(*repository_, kInstance, 1);
  std::string pack;
  const auto report = confirm(1, [&] {
    later.begin();
    later.put_packs(content(300));
    later.put_manifest({});
    later.put_record(11);
    later.end();
    pack = repository::pack_key(later.own().extents.front().position.pack);
    memory_->corrupt(pack, 100);
  });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problems.front().object, pack) << "not what was wrong with the one before";
  EXPECT_EQ(get(1).attempt, later.attempt());
  EXPECT_NE(get(1).problem.find(pack), std::string::npos);
}

TEST_F(ConfirmUponABaseTest, ABackupThatIsBeingRemovedIsNotWrittenAnew) {
  const std::string key = repository::backup_record_name(get(2)).key;
  const auto before = *memory_->get(key);
  EXPECT_EQ(code_of([&] { confirm(2, [&] { condemn(2); }); }), core::Code::kConflict);
  EXPECT_EQ(*memory_->get(key), before);
  EXPECT_EQ(code_of([&] { confirm(2, [&] { memory_->remove(std::vector{key}); }); }), core::Code::kConflict);
  EXPECT_FALSE(memory_->get(key));
}

}  // namespace
}  // namespace backstay::backup
