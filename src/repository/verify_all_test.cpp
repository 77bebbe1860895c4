#include "repository/verify_all.h"

#include <gtest/gtest.h>

#include "repository/description.h"
#include "repository/manifest.h"
#include "repository/object_keys.h"
#include "repository/pack_writer.h"
#include "repository/page_change_objects.h"
#include "repository/prune_packs.h"
#include "repository/prune_survey.h"
#include "repository/testing/fixture.h"
#include "repository/testing/prune_fixture.h"
#include "repository/wal_store.h"
#include "repository/writer_mark.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;
const std::string kSecond = "33333333-3333-4333-8333-333333333333";
const std::string kUnfinished = "44444444-4444-4444-8444-444444444444";

class VerifyAllTest : public testing::RepositoryFixture {
 protected:
  void SetUp() override {
    repository_->put_instance({.instance = kInstance, .service = "orders"});
    take_backup(kBackup, 16);
  }

  std::vector<Extent> write_packs(std::size_t packs) {
    PackUploader uploader(*repository_, {.target_size = 500});
    PackWriter writer(uploader);
    std::vector<Extent> extents;
    for (std::size_t i = 0; i < packs; ++i) {
      writer.add(0, content(1000), extents);
      writer.finish();
    }
    uploader.finish();
    return extents;
  }

  ObjectId write_manifest(const std::string& id, const std::vector<Extent>& extents) {
    ManifestWriter manifest(*repository_, kInstance, id, {});
    for (std::size_t i = 0; i < extents.size(); ++i) {
      FileEntry entry;
      entry.path = fmt::format("base/{}", i);
      entry.size = extents[i].length;
      entry.extents = {extents[i]};
      manifest.add(entry);
    }
    return manifest.finish().id;
  }

  /// Packs, a manifest, WAL of a whole segment and a tail, and the record.
  void take_backup(const std::string& id, std::uint64_t segment, std::vector<Extent> extents = {}) {
    if (extents.empty()) extents = write_packs(2);
    BackupRecord record;
    record.backup = id;
    record.instance = kInstance;
    record.wal_segment_size = kSize;
    record.timeline = 2;
    record.start_lsn = segment * kSize + 40;
    record.stop_lsn = (segment + 1) * kSize + 300;
    record.manifest_id = write_manifest(id, extents);
    put_wal(segment);
    repository_->put_backup(record);
  }

  void put_wal(std::uint64_t segment) {
    WalStore wal(*repository_, kInstance, kSize);
    SegmentIndex index;
    index.timeline = 2;
    index.segment = segment;
    wal.put_segment(core::Bytes(kSize), index, 1);
    index.segment = segment + 1;
    wal.put_tail(core::Bytes(500, std::byte{1}), 0, index, 1);
    wal.put_history(2, core::as_bytes("1\t0/4000028\tno recovery target specified\n"));
    wal.put_window_end(2, {.time = clock_.now(), .lsn = (segment + 1) * kSize + 500});
  }

  /// One object of each kind that there is.
  void add_every_kind() {
    WalStore wal(*repository_, kInstance, kSize);
    SegmentIndex index;
    index.timeline = 2;
    for (index.segment = 18; index.segment < 33; ++index.segment) {
      wal.put_segment(core::Bytes(kSize), index, 1);  // a roll-up is written with the last
    }
    put_page_changes(*repository_, kInstance, {.timeline = 2, .from = 16 * kSize, .to = 17 * kSize, .epoch = 1},
                     content(300));
    repository_->put_sealed(writer_mark_name(kInstance, kUnfinished, {}),
                            core::as_bytes(R"({"begun":"2026-01-01T00:00:00Z"})"));
    detail::put_condemned(*repository_, condemned_name(kInstance, kSecond), "test");
    detail::put_pack_list(*repository_, {.condemned = clock_.now()});
  }

  VerifyAllReport verify(std::optional<VerifySample> sample = std::nullopt) {
    return verify_all(*repository_, {.threads = 1, .sample = sample}, {});
  }
  /// `work` is done when everything was listed and nothing but the description was read.
  VerifyAllReport verify_while(const std::function<void()>& work) {
    const auto store = std::make_shared<testing::InterruptedStore>(*memory_);
    const auto repository = Repository::open(store, key_, random_, clock_);
    store->at_call(3, work);
    return verify_all(*repository, {.threads = 1}, {});
  }
  void remove(const std::string& key) { memory_->remove(std::vector<std::string>{key}); }
  std::string key_of(Kind kind) {
    for (const std::string& key : memory_->keys()) {
      const auto parsed = detail::parse_object_key(key);
      if (parsed && parsed->kind == kind) return key;
    }
    return "";
  }
};

TEST_F(VerifyAllTest, AWholeRepositoryIsProvenObjectByObject) {
  add_every_kind();
  const auto report = verify();
  for (const auto& problem : report.problems) ADD_FAILURE() << problem.object << ": " << problem.what;
  EXPECT_EQ(report.kinds.size(), 12u);
  for (const auto& [kind, totals] : report.kinds) {
    EXPECT_GT(totals.objects, 0u) << kind_name(kind);
    EXPECT_EQ(totals.objects_read, totals.objects) << kind_name(kind);
    EXPECT_EQ(totals.bytes_read, totals.bytes) << kind_name(kind);
  }
  EXPECT_EQ(report.backups, 1u);
  EXPECT_EQ(report.instances, 1u);
  EXPECT_TRUE(report.warnings.empty());
}

TEST_F(VerifyAllTest, OneFlippedBitOfAnyObjectIsFound) {
  add_every_kind();
  ASSERT_TRUE(verify().ok());
  for (const std::string& key : memory_->keys()) {
    const core::Bytes good = memory_->get(key).value();
    core::Bytes bad = good;
    const std::size_t bit = below(bad.size() * 8);
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    memory_->put(key, bad);
    const auto report = verify();
    EXPECT_FALSE(report.ok()) << "bit " << bit << " of '" << key << "'";
    for (const auto& problem : report.problems) EXPECT_FALSE(problem.meaning.empty()) << problem.object;
    memory_->put(key, good);
  }
  EXPECT_TRUE(verify().ok());
}

TEST_F(VerifyAllTest, EveryBitOfTheDescriptionIsFound) {
  const core::Bytes good = memory_->get("backstay.json").value();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    core::Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_THROW(
        {
          if (!detail::check_description(repository_->data_key(), bad)) throw core::Error(core::Code::kCorruptData, "");
        },
        core::Error)
        << "bit " << bit << " in\n"
        << core::as_text(bad);
  }
}

TEST_F(VerifyAllTest, WhatIsChangedOnItsWayIsReadOnceMore) {
  add_every_kind();
  store_->spoil_first_reads();
  const auto report = verify();
  for (const auto& problem : report.problems) ADD_FAILURE() << problem.object << ": " << problem.what;
}

TEST_F(VerifyAllTest, AShortenedObjectIsFound) {
  for (const std::string& key : memory_->keys()) {
    const core::Bytes good = memory_->get(key).value();
    memory_->put(key, core::ByteSpan(good).first(good.size() - 1 - below(good.size() - 1)));
    EXPECT_FALSE(verify().ok()) << key;
    memory_->put(key, good);
  }
}

TEST_F(VerifyAllTest, WhatBackupsNeedIsMissed) {
  for (const Kind kind :
       {Kind::kPack, Kind::kManifest, Kind::kWalSegment, Kind::kWalTail, Kind::kHistory, Kind::kInstanceRecord}) {
    const std::string key = key_of(kind);
    const core::Bytes good = memory_->get(key).value();
    remove(key);
    EXPECT_EQ(verify().problems.size(), 1u) << key;
    memory_->put(key, good);
  }
}

TEST_F(VerifyAllTest, WhatGoesAfterItWasListedIsMissedToo) {
  for (const Kind kind : {Kind::kPack, Kind::kBackupRecord, Kind::kHistory, Kind::kInstanceRecord}) {
    const std::string key = key_of(kind);
    const core::Bytes good = memory_->get(key).value();
    EXPECT_EQ(verify_while([&] { remove(key); }).problems.size(), 1u) << key;
    memory_->put(key, good);
  }
}

TEST_F(VerifyAllTest, WhatIsRemovedOnPurposeMeanwhileIsNotMissed) {
  const std::string record = backup_record_name(kInstance, kBackup, {}).key;
  const std::string manifest = manifest_name(kInstance, kBackup, {}).key;
  EXPECT_TRUE(verify_while([&] { remove("no-such-key"); }).ok());
  const core::Bytes good = memory_->get(record).value();
  EXPECT_TRUE(verify_while([&] {
                detail::put_condemned(*repository_, condemned_name(kInstance, kBackup), "test");
                remove(record);
              }).ok());
  remove(condemned_name(kInstance, kBackup).key);
  memory_->put(record, good);
  const std::string instance = instance_record_name(kInstance).key;
  EXPECT_TRUE(verify_while([&] { memory_->remove(std::vector{record, manifest, instance}); }).ok()) << "swept";
}

TEST_F(VerifyAllTest, PacksThatSeveralBackupsShareAreReadOnce) {
  std::vector<Extent> extents;
  ManifestReader manifest(*repository_, manifest_name(kInstance, kBackup, {}));
  while (const auto entry = manifest.next())
    extents.insert(extents.end(), entry->extents.begin(), entry->extents.end());
  take_backup(kSecond, 18, extents);
  const auto report = verify();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.backups, 2u);
  EXPECT_EQ(report.kinds.at(Kind::kPack).objects_read, 2u);
  remove(key_of(Kind::kPack));
  EXPECT_EQ(verify().problems.size(), 1u) << "one object is missing, whoever needs it";
}

TEST_F(VerifyAllTest, OrphansAreNoDamage) {
  const auto extents = write_packs(1);
  write_manifest(kUnfinished, extents);
  const auto packs = write_packs(1);
  memory_->put("somebody-elses/file", content(10));
  const auto report = verify();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.foreign, 1u);
  ASSERT_EQ(report.orphans.size(), 2u);
  EXPECT_EQ(report.orphans[0].object, manifest_name(kInstance, kUnfinished, {}).key);
  EXPECT_EQ(report.orphans[1].object, pack_key(packs[0].position.pack));
  // A damaged one is damage all the same.
  memory_->corrupt(pack_key(packs[0].position.pack), 40);
  EXPECT_FALSE(verify().ok());
}

TEST_F(VerifyAllTest, AManifestOfAnotherAttemptIsFound) {
  write_manifest(kBackup, write_packs(1));
  EXPECT_FALSE(verify().ok());
}

TEST_F(VerifyAllTest, ASampleReadsItsPartAndEverythingSmall) {
  add_every_kind();
  const auto report = verify(VerifySample{.share = 0.3, .seed = 7});
  EXPECT_TRUE(report.ok());
  const auto& segments = report.kinds.at(Kind::kWalSegment);
  const auto& packs = report.kinds.at(Kind::kPack);
  const double part =
      static_cast<double>(segments.bytes_read + packs.bytes_read) / static_cast<double>(segments.bytes + packs.bytes);
  EXPECT_GE(part, 0.3);
  EXPECT_LT(part, 0.6);
  for (const auto& [kind, totals] : report.kinds) {
    if (kind == Kind::kPack || kind == Kind::kWalSegment) continue;
    EXPECT_EQ(totals.objects_read, totals.objects) << kind_name(kind);
  }
  EXPECT_GE(verify(VerifySample{.bytes = 1}).kinds.at(Kind::kWalSegment).objects_read +
                verify(VerifySample{.bytes = 1}).kinds.at(Kind::kPack).objects_read,
            1u);
}

TEST_F(VerifyAllTest, TheSameSeedDrawsTheSamePart) {
  add_every_kind();
  memory_->corrupt(key_of(Kind::kWalSegment), 50);
  std::vector<bool> found;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const bool ok = verify(VerifySample{.share = 0.3, .seed = seed}).ok();
    EXPECT_EQ(ok, verify(VerifySample{.share = 0.3, .seed = seed}).ok());
    found.push_back(!ok);
  }
  EXPECT_GT(std::ranges::count(found, true), 0);
  EXPECT_LT(std::ranges::count(found, true), 20);
}

TEST_F(VerifyAllTest, ARepositoryOfBeforeTheCheckIsWarnedOf) {
  core::json::object description = core::as_object(core::parse_json(core::as_text(*memory_->get("backstay.json"))));
  description.erase("check");
  memory_->put("backstay.json", core::as_bytes(core::to_text(description)));
  const auto report = verify();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.warnings.size(), 1u);
}

}  // namespace
}  // namespace backstay::repository
