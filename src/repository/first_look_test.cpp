#include "repository/first_look.h"

#include "repository/manifest.h"
#include "repository/testing/fixture.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

constexpr std::uint64_t kSegment = 1024 * 1024;

class FirstLookTest : public testing::RepositoryFixture {
 protected:
  FirstLookTest() {
    repository_->put_instance({.instance = kInstance, .service = "s", .service_name = "one", .provider = "p"});
    ManifestWriter writer(*repository_, kInstance, kBackup, attempt_);
    for (int i = 100; i < 200; ++i) writer.add({.path = "file-" + std::to_string(i)});
    BackupRecord record{.backup = kBackup, .instance = kInstance, .mechanism = "physical", .origin = "manual"};
    record.attempt = attempt_;
    record.postgres_version = "15";
    record.manifest_id = writer.finish().id;
    repository_->put_backup(record);
    put_tail(0, 10);
    put_tail(10, 20);
  }
  void put_tail(std::uint64_t from, std::uint64_t to) {
    SegmentIndex index;
    index.timeline = 1;
    index.segment = 1;
    WalStore(*repository_, kInstance, kSegment).put_tail(content(to - from), from, index, 1);
  }
  /// What a recovery asks for before the packs.
  void look(Repository& repository) {
    ASSERT_EQ(repository.instances(), std::vector{kInstance});
    ASSERT_TRUE(repository.instance(kInstance));
    const auto backups = repository.backups(kInstance);
    ASSERT_EQ(backups.size(), 1U);
    WalStore wal(repository, kInstance, kSegment);
    ASSERT_EQ(wal.timelines(), std::vector<std::uint32_t>{1});
    ASSERT_FALSE(wal.window_end(1));
    ASSERT_EQ(wal.segment_indexes(1).size(), 1U);
    const auto data = wal.read_segment(1, 1);
    ASSERT_TRUE(data);
    EXPECT_EQ(data->bytes.size(), 20U);
    ManifestReader manifest(repository, backups.front());
    std::size_t entries = 0;
    while (manifest.next()) ++entries;
    EXPECT_EQ(entries, 100U);
  }

  const ObjectId attempt_ = new_object_id(random_);
};

TEST_F(FirstLookTest, ASmallRepositoryIsAskedOnceForEachObjectAndOnceForTheirNames) {
  const std::uint64_t before = store_->calls();
  const auto repository = Repository::open(begin_recovery_reads(store_, kBackup), key_, random_, clock_);
  look(*repository);
  // Description, names, instance, record, manifest, two tails.
  EXPECT_EQ(store_->calls() - before, 7U);
}

TEST_F(FirstLookTest, OfALargeOneEverythingIsReadAsWithoutIt) {
  for (int i = 0; i < 1000; ++i) memory_->put(instances_prefix() + kInstance + "/changes/x" + std::to_string(i), {});
  const auto repository = Repository::open(begin_recovery_reads(store_, kBackup), key_, random_, clock_);
  look(*repository);
}

TEST_F(FirstLookTest, WhatIsDamagedOnItsWayIsReadAgain) {
  store_->spoil_first_reads();
  const auto repository = Repository::open(begin_recovery_reads(store_, kBackup), key_, random_, clock_);
  look(*repository);
}

}  // namespace
}  // namespace backstay::repository
