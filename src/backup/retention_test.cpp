// Retention on a real server: whatever goes, every backup that stays and every time that is promised can be recovered.
#include "backup/retention.h"

#include <atomic>

#include "backup/confirm.h"
#include "backup/testing/archive_fixture.h"
#include "core/error.h"
#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/testing/fixture.h"
#include "repository/verify.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using std::chrono::hours;
using testing::ArchiveFixture;

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
  EXPECT_EQ(rows(ToTime{cut}, "cut"), 20);
  EXPECT_EQ(rows(ToTime{between}, "between"), 30);
  EXPECT_EQ(rows(ToBackup{newest.backup}, "newest"), 40);
  EXPECT_EQ(rows(ToLatest{}, "latest"), 50);
}

TEST_F(RetentionTest, TheWalOfABackupThatStandsAloneGoesWithIt) {
  receiver_.reset();
  const std::string alone = add_instance(cluster_);
  const auto goes = take_backup(alone, cluster_, nullptr);
  work();
  const auto stays = take_backup(alone, cluster_, nullptr);
  for (const auto* record : {&goes, &stays}) {
    EXPECT_TRUE(confirm_backup(environment_, *repository_, alone, record->backup, nullptr, {}).ok());
  }
  model::RetentionQuestion question;
  question.now = {server_now() + hours(48)};
  question.retention_days = 1;
  question.instances = {{.id = alone, .continuous = false}};
  for (const auto& record : repository_->backups(alone)) {
    question.backups.push_back(as_retained(*repository_, record));
  }
  repository::PruneRequest request;
  request.grace = {};
  add_to(request, model::decide_retention(question));
  for (int i = 0; i < 4; ++i) prune(*repository_, request, {});

  ASSERT_EQ(repository_->backup_ids(alone), (std::vector<std::string>{stays.backup}));
  repository::WalStore wal(*repository_, alone);
  for (const auto& stored : wal.list(1)) {
    EXPECT_GE(stored.segment, stays.start_lsn / wal.segment_size());
    EXPECT_LE(stored.segment, (stays.stop_lsn - 1) / wal.segment_size());
  }
  const auto recovered =
      recover_to(WalArchive(*repository_, alone).plan(ToBackup{stays.backup}, clock_.now()), "alone");
  EXPECT_EQ(recovered->query("SELECT count(*) FROM public.t").integer(0, 0), 10);
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
  garbage.grace = garbage.late_write = {};
  for (int i = 0; i < 4; ++i) prune(*repository_, garbage, {});
  EXPECT_EQ(packs(), before);
  EXPECT_EQ(repository_->backup_ids(instance_).size(), 1U);
  for (const std::string& key : memory_.keys()) EXPECT_EQ(key.find(failing.backup_id), std::string::npos) << key;
}

/// Six weeks of a service in a store in memory: a backup every twelve hours, WAL all the time, retention once a day.
class ManyWeeksTest : public repository::testing::RepositoryFixture {
 protected:
  static constexpr std::uint64_t kSize = 1024 * 1024;

  ManyWeeksTest() {
    memory_ = std::make_shared<blob::testing::MemoryStore>(&clock_);
    repository_ = repository::Repository::create(memory_, key_, random_, clock_);
    question_.instances = {{.id = repository::testing::kInstance}};
    question_.keep_at_least = model::keep_at_least(question_.retention_days, 12);
  }
  void put_segments(int count) {
    repository::WalStore wal(*repository_, repository::testing::kInstance, kSize);
    repository::SegmentIndex index;
    index.timeline = 1;
    for (; count > 0; --count) {
      index.segment = next_++;
      wal.put_segment(core::Bytes(kSize), index, 1);
    }
  }
  void take_backup() {
    repository::FileEntry entry{.path = "file", .size = 400};
    {
      repository::PackUploader uploader(*repository_);
      repository::PackWriter writer(uploader);
      writer.add(0, content(400), entry.extents);
      writer.finish();
      uploader.finish();
    }
    repository::BackupRecord record;
    record.backup = random_.uuid();
    record.instance = repository::testing::kInstance;
    repository::ManifestWriter manifest(*repository_, record.instance, record.backup, {});
    manifest.add(entry);
    record.manifest_id = manifest.finish().id;
    record.wal_segment_size = kSize;
    record.timeline = 1;
    record.start_lsn = next_ * kSize + 40;
    put_segments(1);
    record.stop_lsn = record.start_lsn + 100;
    record.start_time = record.stop_time = clock_.now();
    record.stored = record.confirmed = clock_.now();
    repository_->put_backup(record);
    known_.push_back(as_retained(*repository_, record));
  }
  RetentionOutcome apply() {
    question_.now = {clock_.now()};
    question_.backups = known_;
    auto outcome = apply_retention(*repository_, question_, {}, {});
    for (std::size_t i = 0; i < known_.size(); ++i) {
      if (outcome.decision.backups[i].goes) known_[i].state = model::BackupState::kDeleting;
    }
    std::erase_if(known_, [&](const auto& backup) { return outcome.gone.contains(backup.id); });
    return outcome;
  }
  std::size_t count(std::string_view containing) {
    return static_cast<std::size_t>(std::ranges::count_if(
        memory_->keys(), [&](const std::string& key) { return key.find(containing) != std::string::npos; }));
  }
  /// Every kept backup is whole, and from the oldest on no segment is missing.
  void check() {
    const auto backups = repository_->backups(repository::testing::kInstance);
    ASSERT_FALSE(backups.empty());
    EXPECT_TRUE(backups.front().stop_time <= clock_.now() - std::chrono::days(7) || first_ == backups.front().backup);
    for (const auto& backup : backups) {
      EXPECT_TRUE(repository::verify_backup(*repository_, backup.instance, backup.backup, {}, {}).ok());
    }
    repository::WalStore wal(*repository_, repository::testing::kInstance, kSize);
    EXPECT_EQ(wal.list(1, backups.front().start_lsn / kSize).size(), next_ - backups.front().start_lsn / kSize);
  }

  model::RetentionQuestion question_;
  std::vector<model::RetainedBackup> known_;
  std::uint64_t next_ = 1;
  std::string first_;
};

TEST_F(ManyWeeksTest, TheStoreHoldsWhatIsPromisedAndLittleMore) {
  take_backup();
  first_ = known_.front().id;
  for (int day = 1; day <= 42; ++day) {
    for (int half = 0; half < 2; ++half) {
      clock_.advance(hours(6));
      put_segments(2);
      clock_.advance(hours(6));
      take_backup();
    }
    apply();
    repository::PruneRequest garbage;
    garbage.only = {repository::testing::kInstance};
    prune(*repository_, garbage, {});
    if (day % 6 == 0) check();
    ASSERT_FALSE(HasFailure()) << "day " << day;
  }
  EXPECT_LE(count("/record"), 20U) << "two a day for seven days, the base, and what waits for its end";
  EXPECT_LE(count("packs/"), 24U);
  EXPECT_LE(count("/wal/"), 70U);
}

TEST_F(ManyWeeksTest, WhatLacksAnObjectCoversNothing) {
  question_.keep_at_least = 0;
  take_backup();
  first_ = known_.front().id;
  for (int day = 0; day < 30; ++day) {
    clock_.advance(hours(24));
    take_backup();
    auto record = repository_->backup(repository::testing::kInstance, known_.back().id);
    record->problem = "missing from the store: packs/…";
    repository_->put_backup(*record);
    apply();
  }
  EXPECT_EQ(known_.front().id, first_) << "the last good one";
  EXPECT_TRUE(repository_->backup(repository::testing::kInstance, first_));
}

TEST_F(ManyWeeksTest, WhatAnExpiredServiceLeavesIsNothing) {
  take_backup();
  clock_.advance(hours(12));
  take_backup();
  known_.front().pinned = true;
  question_.deleted = true;
  question_.expires_at = clock_.now() + std::chrono::days(7);
  apply();
  EXPECT_EQ(count("/record"), 2U);
  clock_.advance(std::chrono::days(8));
  for (int i = 0; i < 3; ++i) {
    apply();
    clock_.advance(hours(25));
  }
  ASSERT_EQ(known_.size(), 1U) << "a pinned backup stays until somebody lets it go";
  EXPECT_EQ(count("/record"), 1U);
  EXPECT_TRUE(repository::verify_backup(*repository_, known_[0].instance_id, known_[0].id, {}, {}).ok());
  known_.front().pinned = false;
  for (int i = 0; i < 3; ++i) {
    apply();
    clock_.advance(hours(25));
  }
  EXPECT_TRUE(known_.empty());
  EXPECT_EQ(count("instances/"), 0U);
}

TEST_F(ManyWeeksTest, AClockThatTheStoreContradictsRemovesNothing) {
  take_backup();
  for (int day = 0; day < 10; ++day) {
    clock_.advance(hours(24));
    take_backup();
  }
  core::testing::ManualClock wrong(clock_.now() + std::chrono::days(3000));
  const auto elsewhere = repository::Repository::open(memory_, key_, random_, wrong);
  question_.keep_at_least = 0;
  question_.now = {wrong.now()};
  question_.backups = known_;
  const auto outcome = apply_retention(*elsewhere, question_, {}, {});
  for (const auto& verdict : outcome.decision.backups) EXPECT_FALSE(verdict.goes) << verdict.reason;
  EXPECT_EQ(repository_->backup_ids(repository::testing::kInstance).size(), 11U);
}

TEST_F(ManyWeeksTest, WhoeverObjectsToTheDecisionFindsTheStoreAsItWas) {
  for (int day = 0; day < 10; ++day) {
    take_backup();
    clock_.advance(hours(24));
  }
  question_.now = {clock_.now()};
  question_.backups = known_;
  question_.keep_at_least = 0;
  const auto before = memory_->keys();
  std::size_t going = 0;
  const auto object = [&](const auto& asked, const auto& decision) {
    EXPECT_EQ(asked.now.size(), 2U) << "the store's clock was asked";
    going = static_cast<std::size_t>(std::ranges::count_if(decision.backups, &model::BackupVerdict::goes));
    throw core::Error(core::Code::kNotYet, "a pin came in between");
  };
  EXPECT_THROW(apply_retention(*repository_, question_, {}, {}, object), core::Error);
  EXPECT_GT(going, 0U);
  EXPECT_EQ(memory_->keys(), before);
}

}  // namespace
}  // namespace backstay::backup
