#include "repository/verify.h"

#include <gtest/gtest.h>

#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/testing/fixture.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;

// A branch: recovering a backup of it needs the history of its timeline too.
constexpr std::uint32_t kTimeline = 2;

class VerifyTest : public testing::RepositoryFixture {
 protected:
  /// Two packs, a manifest, WAL of two whole segments and a tail, a timeline's history, and the record.
  void take_backup() {
    PackUploader uploader(*repository_, {.target_size = 1000});
    PackWriter writer(uploader);
    ManifestWriter manifest(*repository_, kInstance, kBackup, {});
    for (int i = 0; i < 8; ++i) {
      FileEntry entry;
      entry.path = fmt::format("base/{}", i);
      const core::Bytes bytes = content(400);
      entry.size = bytes.size();
      writer.add(0, bytes, entry.extents);
      if (i % 4 == 3) writer.finish();
      manifest.add(entry);
    }
    writer.finish();
    uploader.finish();
    const auto result = manifest.finish();

    WalStore wal(*repository_, kInstance, kSize);
    wal.put_history(kTimeline, core::as_bytes("1\t0/4000028\tno recovery target specified\n"));
    SegmentIndex index;
    index.timeline = kTimeline;
    for (index.segment = 4; index.segment < 6; ++index.segment) wal.put_segment(core::Bytes(kSize), index, 1);
    wal.put_tail(core::Bytes(500, std::byte{1}), 0, index, 1);

    BackupRecord record;
    record.backup = kBackup;
    record.instance = kInstance;
    record.wal_segment_size = kSize;
    record.timeline = kTimeline;
    record.start_lsn = 4 * kSize + 40;
    record.stop_lsn = 6 * kSize + 300;
    record.manifest_id = result.id;
    repository_->put_backup(record);
  }
  VerifyReport verify(VerifyLevel level = VerifyLevel::kAuthenticate) {
    return verify_backup(*repository_, kInstance, kBackup, {.level = level}, {});
  }
  void remove_keys(std::string_view containing) {
    for (const std::string& key : memory_->keys()) {
      if (key.find(containing) != std::string::npos) memory_->remove(std::vector<std::string>{key});
    }
  }
};

TEST_F(VerifyTest, AGoodBackupHasNoProblemsAndIsWhollyRead) {
  take_backup();
  for (const VerifyLevel level : {VerifyLevel::kAuthenticate, VerifyLevel::kDecode}) {
    const VerifyReport report = verify(level);
    for (const auto& problem : report.problems) ADD_FAILURE() << problem.object << ": " << problem.what;
    EXPECT_EQ(report.entries, 8U);
    EXPECT_EQ(report.files, 8U);
    EXPECT_EQ(report.packs, 2U);
    EXPECT_EQ(report.wal_segments, 3U);
    EXPECT_EQ(report.data_size, 3200U);
    EXPECT_GT(report.bytes_read, 2000U);
  }
}

TEST_F(VerifyTest, EveryChangedByteOfEveryObjectIsFound) {
  take_backup();
  for (const std::string& key : memory_->keys()) {
    if (key == "backstay.json") continue;
    const core::Bytes good = *memory_->get(key);
    for (std::size_t at = 0; at < good.size(); ++at) {
      // All of header and trailer, a sample of what is between.
      if (at > 40 && at + 40 < good.size() && below(good.size()) > 20) continue;
      core::Bytes bad = good;
      bad[at] ^= std::byte{1} << below(8);
      memory_->put(key, bad);
      const VerifyReport report = verify();
      EXPECT_FALSE(report.ok()) << "byte " << at << " of '" << key << "'";
      for (const auto& problem : report.problems) EXPECT_FALSE(problem.meaning.empty());
      if (HasFailure()) return;
    }
    memory_->put(key, good);
  }
  EXPECT_TRUE(verify().ok());
}

TEST_F(VerifyTest, WhatIsChangedOnItsWayIsReadOnceMore) {
  take_backup();
  store_->spoil_first_reads();
  const VerifyReport report = verify();
  for (const auto& problem : report.problems) ADD_FAILURE() << problem.object << ": " << problem.what;
}

TEST_F(VerifyTest, EveryMissingObjectIsFound) {
  take_backup();
  for (const std::string& key : memory_->keys()) {
    if (key == "backstay.json") continue;
    const core::Bytes good = *memory_->get(key);
    memory_->remove(std::vector<std::string>{key});
    EXPECT_FALSE(verify().ok()) << key;
    memory_->put(key, good);
  }
}

TEST_F(VerifyTest, ATailThatEndsBeforeTheStopPositionIsAGap) {
  take_backup();
  remove_keys(".tail.");
  SegmentIndex index;
  index.timeline = kTimeline;
  index.segment = 6;
  WalStore wal(*repository_, kInstance, kSize);
  wal.put_tail(core::Bytes(299), 0, index, 1);
  const VerifyReport report = verify();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_NE(report.problems[0].what.find("299 of the 300"), std::string::npos) << report.problems[0].what;
  EXPECT_NE(report.problems[0].meaning.find("consistent"), std::string::npos);
}

TEST_F(VerifyTest, AnOlderManifestUnderTheSameNameIsFound) {
  take_backup();
  const core::Bytes old = *memory_->get(manifest_name(kInstance, kBackup, {}).key);
  remove_keys("packs/");
  take_backup();
  EXPECT_TRUE(verify().ok());
  memory_->put(manifest_name(kInstance, kBackup, {}).key, old);
  EXPECT_FALSE(verify().ok());
}

TEST_F(VerifyTest, AStoreThatIsAwayOrACancelIsAnErrorAndNotDamage) {
  take_backup();
  for (std::uint64_t n = 1;; ++n) {
    store_->fail_call(n);
    try {
      EXPECT_TRUE(verify().ok());
      break;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kStoreUnreachable);
    }
    ASSERT_LT(n, 200U);
  }
  store_->fail_call(1'000'000);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of([&] { verify_backup(*repository_, kInstance, kBackup, {}, stop.get_token()); }),
            core::Code::kCancelled);
}

TEST_F(VerifyTest, ProgressReachesTheTotal) {
  take_backup();
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  const VerifyOptions options{.progress = [&](std::uint64_t done, std::uint64_t all) {
    EXPECT_EQ(done, last + 1);
    last = done;
    total = all;
  }};
  verify_backup(*repository_, kInstance, kBackup, options, {});
  EXPECT_EQ(last, 5U);
  EXPECT_EQ(total, 5U);
}

TEST_F(VerifyTest, ABackupOfWhichAnyWriteFailedIsNeverStored) {
  for (std::uint64_t n = 1;; ++n) {
    remove_keys("instances/");
    remove_keys("packs/");
    store_->fail_call(n);
    bool failed = false;
    try {
      take_backup();
    } catch (const core::Error&) {
      failed = true;
    }
    if (!failed) break;
    EXPECT_TRUE(repository_->backup_ids(kInstance).empty()) << "call " << n;
    ASSERT_LT(n, 100U);
  }
  store_->fail_call(1'000'000);
  EXPECT_TRUE(verify().ok());
}

}  // namespace
}  // namespace backstay::repository
