#include "repository/chain_survey.h"

#include <gtest/gtest.h>

#include "repository/manifest.h"
#include "repository/object_keys.h"
#include "repository/pack_writer.h"
#include "repository/testing/fixture.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;
const std::string kSecond = "33333333-3333-4333-8333-333333333333";

class ChainSurveyTest : public testing::RepositoryFixture {
 protected:
  /// Two packs, and the WAL of three segments from `segment` on.
  void take_backup(const std::string& id, std::uint64_t segment) {
    PackUploader uploader(*repository_, {.target_size = 1000});
    PackWriter writer(uploader);
    ManifestWriter manifest(*repository_, kInstance, id, {});
    for (int i = 0; i < 2; ++i) {
      FileEntry entry;
      entry.path = fmt::format("base/{}", i);
      const core::Bytes bytes = content(2000);
      entry.size = bytes.size();
      writer.add(0, bytes, entry.extents);
      writer.finish();
      manifest.add(entry);
    }
    uploader.finish();
    const auto result = manifest.finish();
    for (std::uint64_t i = segment; i < segment + 3; ++i) put_segment(1, i);
    BackupRecord record;
    record.backup = id;
    record.instance = kInstance;
    record.wal_segment_size = kSize;
    record.timeline = 1;
    record.start_lsn = segment * kSize + 40;
    record.stop_lsn = (segment + 1) * kSize + 300;
    record.manifest_id = result.id;
    repository_->put_backup(record);
  }
  void put_segment(std::uint32_t timeline, std::uint64_t segment) {
    SegmentIndex index;
    index.timeline = timeline;
    index.segment = segment;
    WalStore(*repository_, kInstance, kSize).put_segment(core::Bytes(kSize), index, 1);
  }
  std::vector<ObjectId> packs(const std::string& id) {
    return ManifestReader(*repository_, manifest_name(kInstance, id, {})).packs();
  }
  void remove(const std::string& key) { memory_->remove(std::vector<std::string>{key}); }
  std::string segment_key(std::uint64_t segment) {
    for (const std::string& key : memory_->keys()) {
      if (key.find("/" + segment_name(1, segment, kSize) + ".") != std::string::npos) return key;
    }
    return "";
  }
  ChainSurvey survey() { return surveyor_.survey({}); }

  PackListing listing_{clock_, core::Duration{}};
  ChainSurveyor surveyor_{*repository_, listing_, kInstance};
};

TEST_F(ChainSurveyTest, FindsNothingInAnEmptyRepository) {
  const auto seen = survey();
  EXPECT_TRUE(seen.missing.empty());
  EXPECT_TRUE(seen.holes.empty());
  EXPECT_EQ(seen.timeline, 0u);
  EXPECT_FALSE(seen.newest_base_start);
}

TEST_F(ChainSurveyTest, FindsNothingMissingInAWholeChain) {
  take_backup(kBackup, 4);
  take_backup(kSecond, 7);
  const auto seen = survey();
  EXPECT_TRUE(seen.missing.empty());
  EXPECT_TRUE(seen.holes.empty());
  EXPECT_EQ(seen.timeline, 1u);
  EXPECT_EQ(seen.end_lsn, 10 * kSize);
  EXPECT_EQ(seen.newest_base_start, 7 * kSize + 40);
}

TEST_F(ChainSurveyTest, NamesAMissingPackAndTheBackupsThatNeedIt) {
  take_backup(kBackup, 4);
  take_backup(kSecond, 7);
  ASSERT_TRUE(survey().missing.empty());
  const std::string key = pack_key(packs(kSecond).at(1));
  remove(key);
  const auto seen = survey();
  ASSERT_EQ(seen.missing.size(), 1u);
  EXPECT_EQ(seen.missing[0].backup, kSecond);
  EXPECT_EQ(seen.missing[0].key, key);
  EXPECT_EQ(seen.newest_start, 7 * kSize + 40);
  EXPECT_EQ(seen.newest_base_start, 4 * kSize + 40);
}

TEST_F(ChainSurveyTest, NamesAMissingManifestAndAMissingRecord) {
  take_backup(kBackup, 4);
  take_backup(kSecond, 7);
  ASSERT_TRUE(survey().missing.empty());
  remove(manifest_name(kInstance, kBackup, {}).key);
  remove(backup_record_name(kInstance, kSecond, {}).key);
  const auto seen = survey();
  ASSERT_EQ(seen.missing.size(), 2u);
  EXPECT_EQ(seen.missing[0].key, backup_record_name(kInstance, kSecond, {}).key);
  EXPECT_EQ(seen.missing[1].key, manifest_name(kInstance, kBackup, {}).key);
  EXPECT_FALSE(seen.newest_base_start);
}

TEST_F(ChainSurveyTest, TakesWhatIsRemovedOnPurposeForGone) {
  take_backup(kBackup, 4);
  take_backup(kSecond, 7);
  ASSERT_TRUE(survey().missing.empty());
  const auto gone = packs(kBackup);
  repository_->put_sealed(condemned_name(kInstance, kBackup), core::as_bytes("{}"));
  remove(backup_record_name(kInstance, kBackup, {}).key);
  remove(manifest_name(kInstance, kBackup, {}).key);
  for (const ObjectId& pack : gone) remove(pack_key(pack));
  EXPECT_TRUE(survey().missing.empty());
  EXPECT_TRUE(survey().missing.empty());  // what the rest needs was read anew
  remove(pack_key(packs(kSecond).at(0)));
  EXPECT_EQ(survey().missing.size(), 1u);
}

TEST_F(ChainSurveyTest, TellsWhenWhatWasMissingIsBack) {
  take_backup(kBackup, 4);
  auto record = repository_->backup(kInstance, kBackup);
  record->problem = std::string(kMissingObject) + "packs/…";
  repository_->put_backup(*record);
  EXPECT_EQ(survey().whole_again, std::vector<std::string>{kBackup});
  record->problem.clear();
  repository_->put_backup(*record);
  surveyor_.forget(kBackup);
  EXPECT_TRUE(survey().whole_again.empty());
}

TEST_F(ChainSurveyTest, FindsHolesBetweenSegments) {
  take_backup(kBackup, 4);
  put_segment(1, 9);
  EXPECT_EQ(survey().holes, (std::vector<WalHole>{{7, 8}}));
  put_segment(1, 7);
  EXPECT_EQ(survey().holes, (std::vector<WalHole>{{8, 8}}));
  remove(segment_key(5));
  EXPECT_EQ(survey().holes, (std::vector<WalHole>{{5, 5}, {8, 8}}));
}

TEST_F(ChainSurveyTest, ReadsOverTheSwitchOfATimeline) {
  take_backup(kBackup, 4);
  SegmentIndex index;
  index.timeline = 1;
  index.segment = 7;
  WalStore wal(*repository_, kInstance, kSize);
  wal.put_tail(core::Bytes(500, std::byte{1}), 0, index, 1);
  put_segment(2, 7);
  put_segment(2, 8);
  auto seen = survey();
  EXPECT_TRUE(seen.holes.empty());
  EXPECT_EQ(seen.timeline, 2u);
  EXPECT_EQ(seen.end_lsn, 9 * kSize);
  ASSERT_EQ(seen.missing.size(), 1u);  // the history of the branch
  EXPECT_TRUE(seen.missing[0].key.ends_with("/wal/00000002.history")) << seen.missing[0].key;
  wal.put_history(2, core::as_bytes("1\t0/700100\tno recovery target specified\n"));
  EXPECT_TRUE(survey().missing.empty());
}

TEST_F(ChainSurveyTest, AsksForOneListingOfInstanceAndPacks) {
  take_backup(kBackup, 4);
  survey();
  PackListing listing(clock_, std::chrono::seconds(10));
  ChainSurveyor surveyor(*repository_, listing, kInstance);
  surveyor.survey({});
  const auto before = store_->calls();
  surveyor.survey({});
  EXPECT_EQ(store_->calls() - before, 1u) << "of the instance; that of the packs was still fresh";
}

TEST(ObjectKeysTest, KnowsEveryKindOfKeyAndNoOther) {
  const std::string place = "instances/" + kInstance + "/";
  const auto kind = [](const std::string& key) {
    const auto parsed = detail::parse_object_key(key);
    return parsed ? std::optional(parsed->kind) : std::nullopt;
  };
  const std::string attempt = "0a000000000000000000000000000001";
  EXPECT_EQ(kind("packs/0a/0a000000000000000000000000000001"), Kind::kPack);
  EXPECT_EQ(kind(place + "instance"), Kind::kInstanceRecord);
  EXPECT_EQ(kind(place + "backups/" + kBackup + "/record." + attempt), Kind::kBackupRecord);
  EXPECT_EQ(kind(place + "backups/" + kBackup + "/manifest." + attempt), Kind::kManifest);
  EXPECT_EQ(kind(place + "backups/" + kBackup + "/condemned"), Kind::kCondemned);
  EXPECT_EQ(kind(place + "backups/" + kBackup + "/condemned." + attempt), Kind::kCondemned);
  EXPECT_EQ(kind(place + "backups/" + kBackup + "/writing." + attempt), Kind::kWriterMark);
  for (const char* const name : {"record", "manifest", "writing", "record.", "record.0a", "other"}) {
    EXPECT_EQ(kind(place + "backups/" + kBackup + "/" + name), std::nullopt) << name;
  }
  EXPECT_EQ(kind("condemned/" + kBackup), Kind::kCondemned);
  EXPECT_EQ(kind(place + "wal/00000001/000000010000000000000002.00000001"), Kind::kWalSegment);
  EXPECT_EQ(kind(place + "wal/00000001/000000010000000000000002.00000001.tail.00000000-00abcdef"), Kind::kWalTail);
  EXPECT_EQ(kind(place + "wal/00000001/index/000000010000000000000000.00000001"), Kind::kWalIndex);
  EXPECT_EQ(kind(place + "wal/00000002.history"), Kind::kHistory);
  EXPECT_EQ(kind(place + "wal/00000001/window-end"), Kind::kWindowEnd);
  for (const char* const other : {"backstay.json", "packs/0b/0a000000000000000000000000000001", "packs/0a/x",
                                  "instances/x/instance", "instances/", "wal/00000001", "condemned/x"}) {
    EXPECT_EQ(kind(other), std::nullopt) << other;
  }
  EXPECT_EQ(kind(place + "wal/00000001/other"), std::nullopt);
}

}  // namespace
}  // namespace backstay::repository
