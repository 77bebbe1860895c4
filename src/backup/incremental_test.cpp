// Incremental backups of a real server: they store what changed, and come back as full ones do.
#include <thread>

#include <fcntl.h>

#include "backup/base_sample.h"
#include "backup/cluster_copy.h"
#include "backup/confirm.h"
#include "backup/incremental_facts.h"
#include "backup/read_plan.h"
#include "backup/restore.h"
#include "backup/testing/archive_fixture.h"
#include "backup/testing/dump_text.h"
#include "core/error.h"
#include "os/file.h"
#include "postgres/page_checksum.h"
#include "repository/manifest.h"
#include "repository/prune.h"
#include "repository/verify.h"

namespace backstay::backup {
namespace {

using testing::ArchiveFixture;
using testing::comparable_dump;

constexpr auto kDeadline = std::chrono::seconds(60);
constexpr std::size_t kPage = postgres::kPageSize;

class IncrementalTest : public ArchiveFixture {
 protected:
  IncrementalTest() : instance_(add_instance(cluster_)) {
    cluster_.query("CREATE TABLE kept (id int PRIMARY KEY, text text) WITH (autovacuum_enabled = off)");
    cluster_.query("INSERT INTO kept SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 20000) g");
    cluster_.query("CREATE TABLE busy (id int, text text)");
    receiver_ = receive(instance_, cluster_.target());
  }
  BaseBackupRequest request() {
    BaseBackupRequest request{.repository = *repository_,
                              .instance = instance_,
                              .backup_id = random_.uuid(),
                              .data_directory = cluster_.paths().data(),
                              .connection = cluster_.target()};
    request.receiver = &**receiver_;
    request.wal_deadline = kDeadline;
    return request;
  }
  repository::BackupRecord take(const BaseBackupRequest& request, const ProgressCallback& progress = {}) {
    return take_base_backup(environment_, request, progress, {});
  }
  repository::BackupRecord take() { return take(request()); }
  repository::VerifyReport read_back(const repository::BackupRecord& backup, ReadBack what = ReadBack::kOwn) {
    return confirm_backup(environment_, *repository_, instance_, backup.backup, nullptr, {}, 2, what);
  }
  repository::BackupRecord take_and_confirm() {
    const auto record = take();
    EXPECT_TRUE(read_back(record).ok());
    return record;
  }
  /// The files of relations as the backup restores them.
  std::map<std::string, core::Bytes> restored(const repository::BackupRecord& backup, const std::string& name) {
    const auto target = directory_.path() / name;
    RestoreRequest request{.repository = *repository_,
                           .instance = instance_,
                           .backup_id = backup.backup,
                           .data_directory = target,
                           .tablespace_directory = directory_.path() / (name + "-tablespaces")};
    restore_files(environment_, request, nullptr, {});
    std::map<std::string, core::Bytes> files;
    postgres::walk_cluster(target, {}, [&](const postgres::ClusterEntry& entry) {
      if (entry.first_block) files[entry.path] = files_.read_file(target / entry.path);
    });
    return files;
  }
  std::string dump(const postgres::ConnectionTarget& target) {
    return comparable_dump(run_program("pg_dumpall", target, {"--no-role-passwords"}));
  }
  void expect_recovers(const RecoveryTarget& target, const std::string& name, const std::string& expected) {
    WalArchive archive(*repository_, instance_);
    const auto recovered = recover_to(archive.plan(target, clock_.now()), name);
    EXPECT_EQ(dump(recovered->server().management_target()), expected);
    run_program("pg_amcheck", recovered->server().management_target(),
                {"--all", "--install-missing", "--heapallindexed"});
  }
  void change_some(int seed) {
    cluster_.query(fmt::format("UPDATE kept SET text = 'changed {0}' WHERE id % 2000 = {0}", seed));
    cluster_.query(
        fmt::format("INSERT INTO busy SELECT {}, repeat(md5(g::text), 10) FROM generate_series(1, 50) g", seed));
  }
  /// What the pages themselves say has changed.
  PageChanges by_page_lsn(postgres::Lsn since) {
    PageChanges changes;
    postgres::walk_cluster(cluster_.paths().data(), {}, [&](const postgres::ClusterEntry& entry) {
      const auto fork = main_fork(entry);
      if (!fork) return;
      const auto bytes = files_.read_file(cluster_.paths().data() / entry.path);
      for (std::uint32_t i = 0; (i + 1) * kPage <= bytes.size(); ++i) {
        const auto page = core::ByteSpan(bytes).subspan(i * kPage, kPage);
        if (postgres::page_lsn(page) > since) changes.note_block(*fork, *entry.first_block + i);
      }
    });
    return changes;
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
  std::unique_ptr<testing::RunningReceiver> receiver_;
};

TEST_F(IncrementalTest, TakenUnderWriteLoadItComesBackWhole) {
  const auto full = take_and_confirm();
  EXPECT_TRUE(facts_of(full).base.empty());
  EXPECT_EQ(facts_of(full).reason, "no earlier backup is in the store");
  cluster_.query("CREATE TABLE dropped AS SELECT * FROM kept");
  cluster_.query("CREATE TABLE shrinks AS SELECT * FROM kept");
  cluster_.query("CREATE DATABASE copied STRATEGY file_copy");
  cluster_.query("DELETE FROM shrinks WHERE id > 10");
  repository::BackupRecord incremental;
  bool acted = false;
  const auto cut_files = [&](const Progress& progress) {
    if (progress.phase != "copy" || std::exchange(acted, true)) return;
    cluster_.query("DROP TABLE dropped");
    cluster_.query("VACUUM shrinks");
  };
  {
    const std::jthread load([&](const std::stop_token& stop) {
      for (int i = 0; !stop.stop_requested(); ++i) change_some(i);
    });
    incremental = take(request(), cut_files);
    cluster_.query("TRUNCATE busy");
    cluster_.query("VACUUM kept");
  }
  EXPECT_TRUE(acted);
  EXPECT_TRUE(read_back(incremental).ok());
  const auto facts = facts_of(incremental);
  EXPECT_EQ(facts.base, full.backup) << facts.reason;
  EXPECT_EQ(facts.depth, 1U);
  EXPECT_EQ(facts.full_time, full.start_time);
  EXPECT_GT(facts.kept_pages, 1000U);
  EXPECT_LT(facts.read_bytes, full.data_size / 2 + 20'000'000) << "the copied database is new";
  const std::string before = dump(cluster_.target());
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));
  expect_recovers(ToLatest{}, "restored", before);
}

TEST_F(IncrementalTest, NothingChangedStoresAlmostNothingAndRestoresTheSame) {
  cluster_.query("VACUUM FREEZE");
  cluster_.query("CHECKPOINT");
  const auto full = take_and_confirm();
  const auto incremental = take_and_confirm();
  auto wanted = request();
  wanted.full = true;
  const auto other = take(wanted);
  EXPECT_EQ(facts_of(incremental).base, full.backup) << facts_of(incremental).reason;
  EXPECT_EQ(facts_of(other).reason, "a full one was asked for");
  EXPECT_LT(incremental.stored_size, 150'000U);
  EXPECT_LT(incremental.stored_size, full.stored_size / 20);
  EXPECT_EQ(incremental.data_size, other.data_size);
  const auto one = restored(incremental, "incremental");
  const auto two = restored(other, "full");
  ASSERT_EQ(one.size(), two.size());
  for (const auto& [path, content] : one) EXPECT_TRUE(two.at(path) == content) << path;
}

TEST_F(IncrementalTest, OnlyChangedPagesAreReadAndStored) {
  cluster_.query("VACUUM FREEZE");
  const auto full = take_and_confirm();
  cluster_.query("UPDATE kept SET text = 'x' WHERE id % 1000 = 0");
  PageChanges truth;
  auto wanted = request();
  wanted.changes = [&](const ChangesRequest& changes, std::stop_token stop) {
    truth = by_page_lsn(changes.from.lsn);
    return collect_page_changes(*repository_, changes, std::move(stop));
  };
  const auto incremental = take(wanted);
  const auto facts = facts_of(incremental);
  ASSERT_EQ(facts.base, full.backup) << facts.reason;
  EXPECT_GE(truth.blocks(), 20U);
  // Beside the changed pages: files that are no relations, free space and visibility maps, and the base's sample.
  EXPECT_LT(incremental.pages_checked, truth.blocks() + 1000);
  EXPECT_LT(incremental.stored_size, truth.blocks() * kPage + 100'000);
}

TEST_F(IncrementalTest, ChainsAreSyntheticFullsThatNeedNoBase) {
  std::vector<repository::BackupRecord> chain{take_and_confirm()};
  for (int i = 1; i <= 10; ++i) {
    change_some(i);
    chain.push_back(take_and_confirm());
    EXPECT_EQ(facts_of(chain.back()).base, chain[chain.size() - 2].backup) << facts_of(chain.back()).reason;
    EXPECT_EQ(facts_of(chain.back()).depth, static_cast<unsigned>(i));
  }
  const std::string before = dump(cluster_.target());
  repository::PruneRequest prune{.grace = {}};
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) prune.backups.push_back({instance_, chain[i].backup, "test"});
  for (int run = 0; run < 4; ++run) repository::prune(*repository_, prune, {});
  EXPECT_EQ(repository_->backup_ids(instance_), std::vector{chain.back().backup});
  EXPECT_TRUE(read_back(chain.back(), ReadBack::kEverything).ok());
  expect_recovers(ToBackup{chain.back().backup}, "restored", before);
  change_some(11);
  EXPECT_EQ(facts_of(take_and_confirm()).base, chain.back().backup) << "its own base is gone, which is no matter";
}

TEST_F(IncrementalTest, AMapThatLacksChangesIsNoticedAndAFullBackupIsTaken) {
  const auto full = take_and_confirm();
  cluster_.query("UPDATE kept SET text = 'changed'");
  const auto node = cluster_.query("SELECT pg_relation_filepath('kept')").text(0, 0);
  auto wanted = request();
  // Says that all has changed but the table, which alone has: wherever the sample falls, it falls on a changed page.
  wanted.changes = [&](const ChangesRequest&, const std::stop_token&) {
    CollectedChanges collected;
    postgres::walk_cluster(cluster_.paths().data(), {}, [&](const postgres::ClusterEntry& entry) {
      const auto fork = main_fork(entry);
      if (fork && entry.path != node) collected.changes.note_new_from(*fork, 0);
    });
    return collected;
  };
  const auto backup = take(wanted);
  EXPECT_TRUE(facts_of(backup).base.empty());
  EXPECT_EQ(repository_->backup(instance_, full.backup)->problem, "") << "nothing was found against what is stored";
  EXPECT_NE(facts_of(backup).mismatch.find("which the WAL does not say"), std::string::npos)
      << facts_of(backup).mismatch;
  EXPECT_EQ(facts_of(backup).kept_pages, 0U);
  EXPECT_GT(facts_of(backup).read_bytes, full.data_size / 2);
  EXPECT_TRUE(read_back(backup, ReadBack::kEverything).ok());
}

TEST_F(IncrementalTest, WalThatAnotherProcessHasYetToStoreIsWaitedFor) {
  const auto full = take_and_confirm();
  auto wanted = request();
  wanted.receiver = nullptr;
  int asked = 0;
  wanted.changes = [&](const ChangesRequest& changes, std::stop_token stop) {
    if (++asked == 1) return CollectedChanges{.unproven = "not yet", .wal_missing = true};
    return collect_page_changes(*repository_, changes, std::move(stop));
  };
  EXPECT_EQ(facts_of(take(wanted)).base, full.backup);
  EXPECT_EQ(asked, 2);
  wanted.backup_id = random_.uuid();
  wanted.changes = [&](const ChangesRequest&, const std::stop_token&) {
    ++asked;
    return CollectedChanges{.unproven = "an unknown record"};
  };
  EXPECT_EQ(facts_of(take(wanted)).reason, "an unknown record");
  EXPECT_EQ(asked, 3) << "what no waiting changes is not waited for";
}

TEST_F(IncrementalTest, EverySampledPageThatDiffersIsFound) {
  const auto full = take_and_confirm();
  const auto node = cluster_.query("SELECT pg_relation_filepath('kept')").text(0, 0);
  const auto path = cluster_.paths().data() / node;
  BaseManifest manifest(*repository_, full);
  SampledPages place;
  postgres::walk_cluster(cluster_.paths().data(), {}, [&](const postgres::ClusterEntry& entry) {
    if (entry.path != node) return;
    place = {.file = entry, .offset = 5 * kPage, .size = 2 * kPage, .extents = {}};
    place.extents = clip(manifest.find(node)->extents, {5 * kPage, 7 * kPage});
  });
  const SampleRequest request{.repository = *repository_,
                              .base_start = postgres::Lsn{full.start_lsn},
                              .start = postgres::Lsn{full.stop_lsn},
                              .checksums = true};
  const auto mismatch = [&] { return find_mismatch(environment_, request, {place}, {}); };
  EXPECT_EQ(mismatch(), "");
  const auto write_page = [&](auto change) {
    auto page = files_.read_file(path);
    page = core::Bytes(page.begin() + 6 * kPage, page.begin() + 7 * kPage);
    change(page);
    const os::Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    os::write_at(file.get(), 6 * kPage, page);
  };
  const auto resum = [](core::Bytes& page) {
    const std::uint16_t sum = postgres::page_checksum(page, 6);
    std::memcpy(&page[8], &sum, sizeof sum);
  };
  write_page([&](core::Bytes& page) { page[kPage - 1] ^= std::byte{1}; });
  EXPECT_EQ(mismatch(), fmt::format("block 6 of '{}' fails its checksum on the disk", node));
  write_page([&](core::Bytes& page) { resum(page); });
  EXPECT_EQ(mismatch(), "") << "a change without a record, as the server makes some by design";
  const auto set_lsn = [&](std::uint64_t lsn) {
    write_page([&](core::Bytes& page) {
      const std::uint32_t low = static_cast<std::uint32_t>(lsn);
      std::memcpy(&page[4], &low, sizeof low);
      resum(page);
    });
  };
  set_lsn(full.start_lsn - 8);
  EXPECT_EQ(mismatch(), fmt::format("block 6 of '{}' is another one than the earlier backup holds", node));
  set_lsn(full.start_lsn + 8);
  EXPECT_NE(mismatch().find("which the WAL does not say"), std::string::npos) << mismatch();
  set_lsn(full.stop_lsn + 8);
  EXPECT_EQ(mismatch(), "") << "changed since the new backup began: the WAL has it";
}

TEST_F(IncrementalTest, ADamagedBaseIsNotUsed) {
  const auto full = take_and_confirm();
  for (const auto& key : memory_.keys()) {
    if (key.starts_with("packs/")) memory_.corrupt(key, memory_.get(key)->size() / 2);
  }
  auto wanted = request();
  wanted.changes = [](const ChangesRequest&, const std::stop_token&) { return CollectedChanges{}; };
  // Where the sample falls is left to chance; a flipped bit in the middle of each pack is in few of its groups.
  for (const auto& key : memory_.keys()) {
    if (!key.starts_with("packs/")) continue;
    for (std::size_t at = 100; at < memory_.get(key)->size(); at += 2000) memory_.corrupt(key, at);
  }
  const auto backup = take(wanted);
  EXPECT_TRUE(facts_of(backup).base.empty());
  EXPECT_NE(facts_of(backup).mismatch, "");
  EXPECT_TRUE(read_back(backup, ReadBack::kEverything).ok()) << "it needs nothing of the damaged one";
  const auto problem = repository_->backup(instance_, full.backup)->problem;
  EXPECT_NE(problem, "") << "a recovery must not rest on it";
  EXPECT_NE(facts_of(backup).mismatch.find(problem), std::string::npos) << problem;
  EXPECT_EQ(facts_of(take()).base, backup.backup);
}

TEST_F(IncrementalTest, ABaseWhoseManifestIsMissingHasAProblem) {
  const auto full = take_and_confirm();
  store_->remove(std::vector{repository::manifest_name(full).key});
  const auto backup = take();
  EXPECT_TRUE(facts_of(backup).base.empty());
  EXPECT_NE(repository_->backup(instance_, full.backup)->problem, "");
  EXPECT_TRUE(read_back(backup, ReadBack::kEverything).ok());
}

TEST_F(IncrementalTest, DamageInASharedPackIsKnownOfAllThatShareIt) {
  const auto full = take_and_confirm();
  change_some(1);
  const auto second = take_and_confirm();
  change_some(2);
  const auto third = take_and_confirm();
  auto wanted = request();
  wanted.full = true;
  const auto other = take(wanted);
  const auto packs = [&](const repository::BackupRecord& backup) {
    return repository::ManifestReader(*repository_, backup).packs();
  };
  std::string shared;
  for (const auto& id : packs(third)) {
    if (std::ranges::count(packs(full), id) > 0) shared = repository::pack_key(id);
  }
  ASSERT_FALSE(shared.empty());
  memory_.corrupt(shared, 100);
  EXPECT_FALSE(read_back(third, ReadBack::kEverything).ok());
  for (const auto& backup : {full, second, third}) {
    const auto problem = repository_->backup(instance_, backup.backup)->problem;
    EXPECT_NE(problem.find(shared), std::string::npos) << problem;
  }
  EXPECT_EQ(repository_->backup(instance_, other.backup)->problem, "") << "it has packs of its own";
  EXPECT_FALSE(read_back(third).ok()) << "what was found is not forgotten by reading less";
}

TEST_F(IncrementalTest, WhatRestsOnADoubtfulBackupIsReadBackInFull) {
  const auto full = take_and_confirm();
  change_some(1);
  const auto second = take_and_confirm();
  change_some(2);
  const auto third = take();
  const auto set_restore_problem = [&](const repository::BackupRecord& backup, const std::string& problem) {
    auto record = *repository_->backup(instance_, backup.backup);
    record.restore_problem = problem;
    repository_->put_backup(record);
  };
  for (const auto& doubtful : {full, second}) {
    set_restore_problem(doubtful, "it does not start");
    EXPECT_GT(read_back(third).bytes_read, full.stored_size) << doubtful.backup;
    set_restore_problem(doubtful, "");
  }
}

TEST_F(IncrementalTest, WhatABackupWroteIsReadBackAndWhatItSharesIsThere) {
  const auto full = take();
  change_some(1);
  const auto unconfirmed = take();
  EXPECT_GT(read_back(unconfirmed).bytes_read, full.stored_size) << "its base was never read back";
  EXPECT_TRUE(read_back(full).ok());
  change_some(2);
  const auto incremental = take();
  const auto report = read_back(incremental);
  EXPECT_TRUE(report.ok());
  EXPECT_LT(report.bytes_read, full.stored_size / 2 + 2 * full.wal_segment_size);

  const repository::ManifestReader of_base(*repository_, unconfirmed);
  const repository::ManifestReader of_incremental(*repository_, incremental);
  std::set<repository::ObjectId> shared(of_base.packs().begin(), of_base.packs().end());
  std::string own;
  std::string old;
  for (const auto& id : of_incremental.packs()) {
    (shared.contains(id) ? old : own) = repository::pack_key(id);
  }
  ASSERT_FALSE(own.empty() || old.empty());
  memory_.corrupt(old, 100);
  EXPECT_TRUE(read_back(incremental).ok());
  EXPECT_FALSE(read_back(incremental, ReadBack::kEverything).ok()) << "verifying reads all of it";
  memory_.corrupt(own, 100);
  EXPECT_FALSE(read_back(incremental).ok());
}

TEST_F(IncrementalTest, ABaseThatGoesMeanwhileLeavesWhatIsTakenOver) {
  const auto full = take_and_confirm();
  change_some(1);
  bool gone = false;
  const auto remove_base = [&](const Progress& progress) {
    if (progress.phase != "copy" || std::exchange(gone, true)) return;
    repository::PruneRequest prune{.backups = {{instance_, full.backup, "test"}}, .grace = {}};
    for (int run = 0; run < 4; ++run) repository::prune(*repository_, prune, {});
  };
  const auto incremental = take(request(), remove_base);
  EXPECT_TRUE(gone);
  EXPECT_EQ(repository_->backup_ids(instance_), std::vector{incremental.backup});
  EXPECT_EQ(facts_of(incremental).base, full.backup);
  EXPECT_TRUE(read_back(incremental, ReadBack::kEverything).ok()) << "no pack goes while a writer is at work";
  const auto next = take_and_confirm();
  EXPECT_EQ(facts_of(next).base, incremental.backup);
}

}  // namespace
}  // namespace backstay::backup
