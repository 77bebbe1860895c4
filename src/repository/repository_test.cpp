#include "repository/repository.h"

#include <gtest/gtest.h>

#include "repository/testing/fixture.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

class RepositoryTest : public testing::RepositoryFixture {
 protected:
  BackupRecord sample_backup() {
    BackupRecord record;
    record.backup = kBackup;
    record.instance = kInstance;
    record.origin = "scheduled";
    record.label = "nightly";
    record.taken = clock_.now();
    record.stored = clock_.now() + std::chrono::seconds(5);
    record.recovery_time = std::chrono::milliseconds(1234);
    record.postgres_version = "15.8";
    record.system_identifier = UINT64_MAX - 5;
    record.timeline = 3;
    record.start_lsn = 0x1'2000'0028;
    record.stop_lsn = 0x1'2100'0000;
    record.start_time = clock_.now();
    record.stop_time = clock_.now() + std::chrono::seconds(3);
    record.data_size = 1ULL << 60;
    record.manifest_id = new_object_id(random_);
    record.details["x"] = 1;
    return record;
  }
};

TEST_F(RepositoryTest, OpensOnlyWithItsKey) {
  const auto again = Repository::open(store_, key_, random_, clock_);
  EXPECT_EQ(again->id(), repository_->id());
  EXPECT_EQ(again->data_key(), repository_->data_key());
  const TeamKey other(KeyBytes::generate(random_));
  EXPECT_EQ(code_of([&] { Repository::open(store_, other, random_, clock_); }), core::Code::kWrongKey);
  EXPECT_EQ(code_of([&] { Repository::create_or_open(store_, other, random_, clock_); }), core::Code::kWrongKey);
  EXPECT_EQ(code_of([&] { Repository::create(store_, key_, random_, clock_); }), core::Code::kAlreadyExists);
  const auto empty = std::make_shared<blob::testing::MemoryStore>();
  EXPECT_EQ(code_of([&] { Repository::open(empty, key_, random_, clock_); }), core::Code::kNotFound);
}

TEST_F(RepositoryTest, TheDescriptionHoldsNoSecretAndDamageToItIsNamed) {
  const core::Bytes description = memory_->get("backstay.json").value();
  const std::string text(core::as_text(description));
  EXPECT_EQ(text.find(core::to_base64(repository_->data_key().bytes())), std::string::npos);
  memory_->put("backstay.json", core::as_bytes("{\"version\": 2}"));
  EXPECT_EQ(code_of([&] { Repository::open(store_, key_, random_, clock_); }), core::Code::kCorruptData);
  memory_->put("backstay.json", core::as_bytes("{\"version\": 9}"));
  EXPECT_EQ(code_of([&] { Repository::open(store_, key_, random_, clock_); }), core::Code::kUnsupportedFormat);
}

/// A store without conditional writes in which somebody else creates a repository just after the look.
class RacingStore final : public blob::Store {
 public:
  explicit RacingStore(blob::Store& inner) : inner_(inner) {}
  std::function<void()> after_put;
  void put(std::string_view key, core::ByteSpan content) override {
    inner_.put(key, content);
    if (after_put) std::exchange(after_put, nullptr)();
  }
  bool put_if_absent(std::string_view, core::ByteSpan) override {
    throw core::Error(core::Code::kNotSupported, "no conditional writes here");
  }
  std::unique_ptr<blob::Upload> begin_upload(std::string_view key) override { return inner_.begin_upload(key); }
  std::optional<core::Bytes> get(std::string_view key) override { return inner_.get(key); }
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override {
    return inner_.get_range(key, offset, length);
  }
  std::optional<blob::ObjectTail> get_tail(std::string_view key, std::uint64_t length) override {
    return inner_.get_tail(key, length);
  }
  std::optional<blob::ObjectInfo> head(std::string_view key) override { return inner_.head(key); }
  void list(std::string_view prefix, std::string_view after,
            const std::function<bool(const blob::ObjectInfo&)>& each) override {
    inner_.list(prefix, after, each);
  }
  void remove(std::span<const std::string> keys) override { inner_.remove(keys); }
  [[nodiscard]] blob::StoreFeatures features() const override { return {.conditional_put = false}; }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

 private:
  blob::Store& inner_;
};

TEST_F(RepositoryTest, WithoutConditionalWritesTheLastCreatorWinsForBoth) {
  blob::testing::MemoryStore memory;
  const auto racing = std::make_shared<RacingStore>(memory);
  std::unique_ptr<Repository> theirs;
  racing->after_put = [&] {
    memory.remove(std::vector<std::string>{"backstay.json"});
    theirs = Repository::create(racing, key_, random_, clock_);
  };
  const auto ours = Repository::create(racing, key_, random_, clock_);
  EXPECT_EQ(ours->id(), theirs->id());
  EXPECT_EQ(ours->data_key(), theirs->data_key());
}

TEST_F(RepositoryTest, NothingIsStoredWhereTheRepositoryIsNoMore) {
  constexpr std::uint64_t kSegmentSize = 1U << 20;
  WalStore wal(*repository_, kInstance, kSegmentSize);
  const auto refused = [&] {
    const core::Bytes bytes(kSegmentSize);
    const auto put_window_end = [&] { wal.put_window_end(1, {clock_.now(), 5}); };
    for (const std::function<void()>& put : std::vector<std::function<void()>>{
             [&] { repository_->put_backup(sample_backup()); }, [&] { wal.put_segment(bytes, {}, 1); },
             [&] { wal.put_tail(core::ByteSpan(bytes).first(10), 0, {}, 1); }, put_window_end,
             [&] { wal.put_history(2, bytes); }}) {
      EXPECT_EQ(code_of(put), core::Code::kStoreUnreachable);
    }
  };
  const auto description = memory_->get("backstay.json");
  memory_->remove(std::vector<std::string>{"backstay.json"});
  refused();
  memory_->put("backstay.json", core::as_bytes("damaged"));
  refused();
  memory_->remove(std::vector<std::string>{"backstay.json"});
  Repository::create(store_, key_, random_, clock_);
  refused();
  EXPECT_TRUE(repository_->instances().empty());

  memory_->put("backstay.json", *description);
  wal.put_window_end(1, {clock_.now(), 5});
  repository_->put_backup(sample_backup());
  EXPECT_EQ(repository_->backup_ids(kInstance).size(), 1U);
}

TEST_F(RepositoryTest, BackupRecordsRoundTripAndAreUpdated) {
  BackupRecord record = sample_backup();
  repository_->put_backup(record);
  record.confirmed = clock_.now() + std::chrono::hours(1);
  record.problem = "something";
  repository_->put_backup(record);
  const auto read = repository_->backup(kInstance, kBackup);
  ASSERT_TRUE(read);
  EXPECT_EQ(to_json(*read), to_json(record));
  EXPECT_EQ(read->confirmed, record.confirmed);
  EXPECT_FALSE(read->verified);
  EXPECT_EQ(repository_->backups(kInstance).size(), 1U);
}

TEST_F(RepositoryTest, ABackupWithoutRecordIsNotStored) {
  memory_->put(manifest_name(kInstance, kBackup, {}).key, core::as_bytes("x"));
  memory_->put("instances/" + kInstance + "/backups/notes.txt", core::as_bytes("x"));
  EXPECT_TRUE(repository_->backups(kInstance).empty());
  EXPECT_FALSE(repository_->backup(kInstance, kBackup));
}

TEST_F(RepositoryTest, ARecordUnderAnotherBackupsNameDoesNotOpen) {
  repository_->put_backup(sample_backup());
  const std::string other = random_.uuid();
  memory_->put(backup_record_name(kInstance, other, {}).key,
               *memory_->get(backup_record_name(kInstance, kBackup, {}).key));
  EXPECT_EQ(code_of([&] { (void)repository_->backup(kInstance, other); }), core::Code::kCorruptData);
}

TEST_F(RepositoryTest, FindsInstancesWithoutWalkingThroughTheirWal) {
  InstanceRecord record;
  record.service_name = "shop";
  record.created = clock_.now();
  record.branched_from = Branch{kInstance, 2, 77};
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    record.instance = random_.uuid();
    ids.push_back(record.instance);
    repository_->put_instance(record);
    for (int wal = 0; wal < 50; ++wal) memory_->put(fmt::format("{}x{}", wal_prefix(record.instance), wal), {});
  }
  memory_->put("instances/README", {});
  std::ranges::sort(ids);
  const std::uint64_t before = store_->calls();
  EXPECT_EQ(repository_->instances(), ids);
  EXPECT_LE(store_->calls() - before, 5U);
  EXPECT_EQ(to_json(*repository_->instance(record.instance)), to_json(record));
  EXPECT_FALSE(repository_->instance(kInstance));
}

TEST_F(RepositoryTest, IdsThatWouldLeaveTheirPlaceAreRefused) {
  for (const char* const id : {"", "..", "a/b", "../../backstay.json"}) {
    EXPECT_EQ(code_of([&] { (void)instance_record_name(id); }), core::Code::kInvalidArgument);
    EXPECT_EQ(code_of([&] { (void)manifest_name(kInstance, id, {}); }), core::Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace backstay::repository
