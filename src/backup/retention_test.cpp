// Retention on a real server: whatever goes, every backup that stays and every time that is promised can be recovered.
#include "backup/retention.h"

#include <atomic>

#include "backup/confirm.h"
#include "backup/testing/archive_fixture.h"
#include "core/error.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using std::chrono::hours;
using testing::ArchiveFixture;
using testing::RecoveredServer;

constexpr auto kDeadline = std::chrono::seconds(60);

class RetentionTest : public ArchiveFixture {
 protected:
  RetentionTest() : instance_(add_instance(cluster_)) {
    cluster_.query("CREATE TABLE t (id int)");
    receiver_ = receive(instance_, cluster_.target());
  }
  repository::BackupRecord take_and_confirm() {
    const auto record = take_backup(instance_, cluster_, &**receiver_);
    EXPECT_TRUE(confirm_backup(environment_, *repository_, instance_, record.backup, nullptr, {}).ok());
    return record;
  }
  /// Ten rows, and a few segments of WAL.
  void work() {
    for (int i = 0; i < 3; ++i) cluster_.query("SELECT pg_switch_wal(), txid_current()");
    cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  }
  core::Timestamp server_now() {
    return core::Timestamp(core::Duration(
        cluster_.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").integer(0, 0)));
  }
  /// As if it were so much later, without a grace.
  repository::PruneRequest request(core::Timestamp now, const std::string& pinned) {
    model::RetentionQuestion question;
    question.now = {now};
    question.retention_days = 1;
    question.instances = {{.id = instance_}};
    for (const auto& record : repository_->backups(instance_)) {
      question.backups.push_back(as_retained(*repository_, record));
      question.backups.back().pinned = record.backup == pinned;
    }
    repository::PruneRequest request;
    request.grace = {};
    add_to(request, model::decide_retention(question));
    return request;
  }
  std::int64_t rows(const RecoveryTarget& target, const std::string& name) {
    const auto recovered = recover_to(WalArchive(*repository_, instance_).plan(target, clock_.now()), name);
    return recovered->query("SELECT count(*) FROM public.t").integer(0, 0);
  }
  std::size_t packs() {
    return static_cast<std::size_t>(
        std::ranges::count_if(memory_.keys(), [](const std::string& key) { return key.starts_with("packs/"); }));
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
  std::unique_ptr<testing::RunningReceiver> receiver_;
};

TEST_F(RetentionTest, WhatIsKeptAndWhatIsPromisedCanBeRecovered) {
  const auto pinned = take_and_confirm();
  work();
  const auto goes = take_and_confirm();
  const core::Timestamp lost = server_now();
  work();
  const auto base = take_and_confirm();
  const core::Timestamp cut = server_now();
  work();
  const core::Timestamp between = server_now();
  work();

  // Another backup is taken while one prune follows the other.
  const auto wanted = request(cut + hours(24), pinned.backup);
  repository::BackupRecord newest;
  {
    const std::jthread pruner([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) prune(*repository_, wanted, {});
    });
    newest = take_and_confirm();
  }
  work();
  for (int i = 0; i < 4; ++i) prune(*repository_, wanted, {});
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));

  EXPECT_EQ(repository_->backup_ids(instance_).size(), 3U);
  EXPECT_FALSE(repository_->backup(instance_, goes.backup));
  for (const auto& backup : repository_->backups(instance_)) {
    EXPECT_TRUE(confirm_backup(environment_, *repository_, instance_, backup.backup, nullptr, {}).ok());
  }
  repository::WalStore wal(*repository_, instance_);
  for (const auto& stored : wal.list(1)) {
    const std::uint64_t begin = stored.segment * wal.segment_size();
    EXPECT_TRUE(begin + wal.segment_size() > base.start_lsn || begin < pinned.stop_lsn) << stored.segment;
  }
  const auto window = WalArchive(*repository_, instance_).window();
  ASSERT_TRUE(window.earliest);
  EXPECT_EQ(*window.earliest, pinned.stop_time) << "a pinned backup is a window of its own";
  ASSERT_EQ(window.gaps.size(), 1U);
  EXPECT_EQ(window.gaps[0].to, base.stop_time);
  EXPECT_THROW(WalArchive(*repository_, instance_).plan(ToTime{lost}, clock_.now()), core::Error);

  EXPECT_EQ(rows(ToBackup{pinned.backup}, "pinned"), 0);
  EXPECT_EQ(rows(ToBackup{base.backup}, "base"), 20);
  EXPECT_EQ(rows(ToTime{cut}, "cut"), 20);
  EXPECT_EQ(rows(ToTime{between}, "between"), 30);
  EXPECT_EQ(rows(ToBackup{newest.backup}, "newest"), 40);
  EXPECT_EQ(rows(ToLatest{}, "latest"), 50);
}

TEST_F(RetentionTest, ABackupThatFailsLeavesNothingThatStays) {
  take_and_confirm();
  const std::size_t before = packs();
  const BaseBackupRequest failing{.repository = *repository_,
                            .instance = instance_,
                            .backup_id = random_.uuid(),
                            .data_directory = cluster_.paths().data(),
                            .connection = cluster_.target(),
                            .receiver = &**receiver_};
  std::stop_source stop;
  const auto stop_late = [&](const Progress& progress) {
    if (progress.phase == "wal") stop.request_stop();
  };
  EXPECT_THROW(take_base_backup(environment_, failing, stop_late, stop.get_token()), core::Error);
  EXPECT_GT(packs(), before);
  repository::PruneRequest garbage;
  garbage.grace = {};
  for (int i = 0; i < 4; ++i) prune(*repository_, garbage, {});
  EXPECT_EQ(packs(), before);
  EXPECT_EQ(repository_->backup_ids(instance_).size(), 1U);
  for (const std::string& key : memory_.keys()) EXPECT_EQ(key.find(failing.backup_id), std::string::npos) << key;
}

}  // namespace
}  // namespace backstay::backup
