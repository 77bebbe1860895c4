// Windows and plans from what a store holds, without a server.
#include "backup/recovery_window.h"

#include "backup/confirm.h"
#include "os/file_system.h"
#include "os/process.h"
#include "repository/manifest.h"
#include "repository/testing/fixture.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;

core::Timestamp at(std::uint64_t second) {
  return core::parse_time("2026-05-01T12:00:00Z") + std::chrono::seconds(second);
}

/// Segments 0-19, with a commit in the middle of each; segment n is of second n.
class RecoveryWindowTest : public repository::testing::RepositoryFixture {
 protected:
  RecoveryWindowTest() : wal_(*repository_, kInstance, kSize) {
    for (std::uint64_t n = 0; n < 20; ++n) wal_.put_segment(core::Bytes(kSize), index(n), 1);
    wal_.put_window_end(1, {at(19), 20 * kSize});
  }
  static repository::SegmentIndex index(std::uint64_t segment) {
    repository::SegmentIndex result;
    result.timeline = 1;
    result.segment = segment;
    result.commits = 1;
    result.first_commit_time = result.last_commit_time = result.min_commit_time = result.max_commit_time = at(segment);
    result.first_commit_lsn = result.last_commit_lsn = result.last_record_lsn = segment * kSize + kSize / 2;
    result.last_record_end = result.last_record_lsn + 40;
    return result;
  }
  /// From the beginning of the segment to the beginning of the next one.
  std::string put_backup(std::uint64_t segment) {
    repository::BackupRecord record;
    record.backup = random_.uuid();
    record.instance = kInstance;
    record.wal_segment_size = kSize;
    record.timeline = 1;
    record.start_lsn = segment * kSize + 40;
    record.stop_lsn = (segment + 1) * kSize;
    record.start_time = record.stop_time = at(segment);
    repository_->put_backup(record);
    return record.backup;
  }
  RecoveryPlan plan(const RecoveryTarget& target) { return WalArchive(*repository_, kInstance).plan(target, at(100)); }
  std::string key(const std::string& name) { return repository::wal_prefix(kInstance) + "00000001/" + name; }

  repository::WalStore wal_;
};

TEST_F(RecoveryWindowTest, ADamagedRecordCostsOnlyItsBackup) {
  const std::string good = put_backup(2);
  const std::string bad = put_backup(5);
  memory_->corrupt(repository::backup_record_name(kInstance, bad, {}).key, 40);
  const RecoveryPlan planned = plan(ToLatest{});
  EXPECT_EQ(planned.base.backup, good);
  ASSERT_EQ(planned.warnings.size(), 1U);
  EXPECT_NE(planned.warnings[0].find(bad), std::string::npos) << planned.warnings[0];
  EXPECT_EQ(WalArchive(*repository_, kInstance).window().earliest, at(2));
  EXPECT_EQ(code_of([&] { plan(ToBackup{bad}); }), core::Code::kRecoveryOutOfReach);
}

TEST_F(RecoveryWindowTest, ADamagedWindowEndOrRollUpCostsNoPlan) {
  put_backup(2);
  memory_->corrupt(key("window-end"), 40);
  memory_->corrupt(key("index/" + repository::segment_name(1, 0, kSize) + ".00000001"), 60);
  EXPECT_EQ(plan(ToLatest{}).stop.lsn.value, 19 * kSize + kSize / 2);
}

TEST_F(RecoveryWindowTest, ADamagedHistoryCostsOnlyItsBranch) {
  const std::string backup = put_backup(2);
  wal_.put_history(2, core::as_bytes("1\t0/1300000\tno recovery target specified\n"));
  memory_->corrupt(repository::wal_prefix(kInstance) + "00000002.history", 40);
  const RecoveryPlan planned = plan(ToLatest{});
  EXPECT_EQ(planned.base.backup, backup);
  EXPECT_EQ(planned.warnings.size(), 1U);
}

class ConfirmTest : public RecoveryWindowTest {
 protected:
  repository::VerifyReport confirm(const std::string& backup, const ProgressCallback& progress = nullptr) {
    os::RealFileSystem files;
    os::SystemProcessRunner processes;
    return confirm_backup({clock_, random_, files, processes}, *repository_, kInstance, backup, progress, {});
  }
};

TEST_F(ConfirmTest, ADamagedRecordIsAProblemAndStaysAsItIs) {
  const std::string backup = put_backup(2);
  const std::string record = repository::backup_record_name(kInstance, backup, {}).key;
  memory_->corrupt(record, 40);
  const auto report = confirm(backup);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problems.front().object, record);
  EXPECT_EQ(code_of([&] { confirm(random_.uuid()); }), core::Code::kNotFound);
}

TEST_F(ConfirmTest, AFactThatBecameKnownMeanwhileIsKept) {
  const std::string backup = put_backup(2);
  repository::ManifestWriter manifest(*repository_, kInstance, backup, {});
  auto record = *repository_->backup(kInstance, backup);
  record.manifest_id = manifest.finish().id;
  repository_->put_backup(record);
  const auto verify_meanwhile = [&](const Progress&) {
    record.verified = at(50);
    repository_->put_backup(record);
  };
  EXPECT_TRUE(confirm(backup, verify_meanwhile).ok());
  const auto after = repository_->backup(kInstance, backup);
  EXPECT_TRUE(after->confirmed);
  EXPECT_EQ(after->verified, at(50));
}

}  // namespace
}  // namespace backstay::backup
