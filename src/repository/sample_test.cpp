// The sample repository in tests/format was written once by version 2 and must stay readable for ever.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "repository/manifest.h"
#include "repository/pack_reader.h"
#include "repository/testing/fixture.h"
#include "repository/verify.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

const std::filesystem::path kSample = std::filesystem::path(BACKSTAY_SOURCE_DIR) / "tests/format/sample";
constexpr std::uint64_t kSegment = 1024 * 1024;

class SampleTest : public testing::RepositoryFixture {
 protected:
  SampleTest() {
    core::Bytes key(32);
    for (unsigned i = 0; i < 32; ++i) key[i] = static_cast<std::byte>(i);
    sample_key_ = TeamKey(key);
  }
  void load() {
    sample_ = std::make_shared<blob::testing::MemoryStore>();
    for (const auto& file : std::filesystem::recursive_directory_iterator(kSample)) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(in)), {});
      sample_->put(std::filesystem::relative(file.path(), kSample).native(), core::as_bytes(content));
    }
  }
  /// Pages that compress, more than one group of them.
  static core::Bytes table() {
    core::Bytes bytes(300'000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i / 512 % 251);
    return bytes;
  }
  static SegmentIndex index(std::uint64_t segment) {
    SegmentIndex result;
    result.timeline = 2;
    result.segment = segment;
    result.commits = 1;
    result.first_commit_time = result.last_commit_time = result.min_commit_time = result.max_commit_time =
        core::parse_time("2026-01-01T00:00:01.5Z");
    result.restore_points = {{"before-upgrade", segment * kSegment + 80, core::parse_time("2026-01-01T00:00:01Z")}};
    return result;
  }
  void write_sample() {
    repository_ =
        Repository::create(sample_ = std::make_shared<blob::testing::MemoryStore>(), sample_key_, random_, clock_);
    InstanceRecord instance;
    instance.instance = kInstance;
    instance.service_name = "shop";
    instance.created = clock_.now();
    repository_->put_instance(instance);
    PackUploader uploader(*repository_);
    PackWriter writer(uploader);
    const ObjectId attempt = new_object_id(random_);
    ManifestWriter manifest(*repository_, kInstance, kBackup, attempt);
    const auto add = [&](FileEntry entry, core::ByteSpan bytes, std::uint64_t at) {
      writer.add(at, bytes, entry.extents);
      entry.modified = clock_.now();
      if (entry.type == EntryType::kFile) entry.size = at + bytes.size();
      manifest.add(entry);
    };
    add({.path = "PG_VERSION", .mode = 0600}, core::as_bytes("15\n"), 0);
    add({.path = "base", .type = EntryType::kDirectory, .mode = 0700}, {}, 0);
    add({.path = "base/1259", .mode = 0600}, table(), 0);
    add({.path = "base/empty", .mode = 0640}, {}, 0);
    add({.path = "base/sparse", .mode = 0600}, core::as_bytes("end"), 5000);
    add({.path = "pg_tblspc", .type = EntryType::kSymlink, .mode = 0777, .link_target = "../elsewhere"}, {}, 0);
    writer.finish();
    uploader.finish();
    const auto result = manifest.finish();
    WalStore wal(*repository_, kInstance, kSegment);
    wal.put_segment(core::Bytes(kSegment, std::byte{1}), index(15), 3);
    wal.put_tail(core::Bytes(1000, std::byte{2}), 0, index(16), 3);
    wal.put_history(2, core::as_bytes("1\t0/3000000\tno recovery target specified\n"));
    wal.put_window_end(2, {clock_.now(), 16 * kSegment + 1000});
    BackupRecord record;
    record.backup = kBackup;
    record.instance = kInstance;
    record.label = "sample";
    record.stored = clock_.now();
    record.wal_segment_size = kSegment;
    record.timeline = 2;
    record.start_lsn = 15 * kSegment + 40;
    record.stop_lsn = 16 * kSegment + 900;
    record.attempt = attempt;
    record.manifest_id = result.id;
    repository_->put_backup(record);
  }
  TeamKey sample_key_;
  std::shared_ptr<blob::testing::MemoryStore> sample_;
};

TEST_F(SampleTest, WhatVersionTwoWroteIsRead) {
  load();
  const auto repository = Repository::open(sample_, sample_key_, random_, clock_);
  EXPECT_EQ(repository->instances(), std::vector<std::string>{kInstance});
  EXPECT_EQ(repository->instance(kInstance)->service_name, "shop");
  EXPECT_EQ(repository->backups(kInstance).at(0).label, "sample");

  ManifestReader manifest(*repository, repository->backup(kInstance, kBackup).value());
  PackCache cache(*repository);
  PackReader reader(cache);
  std::map<std::string, core::Bytes> files;
  while (const auto entry = manifest.next()) {
    core::Bytes& bytes = files[entry->path];
    bytes.resize(entry->size);
    reader.read_file(entry->extents, 0, bytes);
    if (entry->type == EntryType::kSymlink) EXPECT_EQ(entry->link_target, "../elsewhere");
  }
  EXPECT_EQ(files.size(), 6U);
  EXPECT_EQ(core::as_text(files["PG_VERSION"]), "15\n");
  EXPECT_EQ(files["base/1259"], table());
  EXPECT_EQ(core::as_text(files["base/sparse"]), std::string(5000, '\0') + "end");

  WalStore wal(*repository, kInstance, kSegment);
  EXPECT_EQ(wal.timelines(), std::vector<std::uint32_t>{2});
  EXPECT_EQ(wal.segment_indexes(2), (std::vector<SegmentIndex>{index(15), index(16)}));
  EXPECT_EQ(wal.read_segment(2, 16)->bytes.size(), 1000U);
  EXPECT_EQ(wal.window_end(2)->lsn, 16 * kSegment + 1000);
  EXPECT_TRUE(verify_backup(*repository, kInstance, kBackup, {.level = VerifyLevel::kDecode}, {}).ok());
}

/// Writes a sample of what this program writes into the directory that BACKSTAY_WRITE_SAMPLE names: for a new version
/// of the format, beside the old one.
TEST_F(SampleTest, TodaysSampleVerifiesAndCanBeKept) {
  write_sample();
  EXPECT_TRUE(verify_backup(*repository_, kInstance, kBackup, {}, {}).ok());
  const char* const directory = std::getenv("BACKSTAY_WRITE_SAMPLE");
  if (directory == nullptr) return;
  for (const std::string& key : sample_->keys()) {
    const std::filesystem::path path = std::filesystem::path(directory) / key;
    std::filesystem::create_directories(path.parent_path());
    const core::Bytes content = sample_->get(key).value();
    std::ofstream(path, std::ios::binary) << core::as_text(content);
  }
}

}  // namespace
}  // namespace backstay::repository
