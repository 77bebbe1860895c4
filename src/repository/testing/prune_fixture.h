// What tests of removing need: backups that are written step by step, and a store that lets something happen between
// two of its calls.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/prune.h"
#include "repository/testing/fixture.h"
#include "repository/verify.h"
#include "repository/wal_store.h"
#include "repository/writer_mark.h"

namespace backstay::repository::testing {

using std::chrono::hours;

constexpr std::uint64_t kSize = 1024 * 1024;

inline std::string id(int number) { return fmt::format("22222222-2222-4222-8222-{:012}", number); }

/// A backup that is written step by step.
class Attempt {
 public:
  Attempt(Repository& repository, std::string instance, int number)
      : repository_(repository), instance_(std::move(instance)), number_(number) {}

  void begin() {
    mark_ = std::make_unique<WriterMark>(repository_, instance_, id(number_));
    attempt_ = mark_->attempt();
  }
  [[nodiscard]] const ObjectId& attempt() const { return attempt_; }
  /// One file of its own, in a pack of its own.
  void put_packs(core::ByteSpan bytes) {
    PackUploader uploader(repository_, {.target_size = 1000});
    PackWriter writer(uploader);
    writer.add(0, bytes, own_.extents);
    writer.finish();
    uploader.finish();
    own_.path = "own";
    own_.size = bytes.size();
  }
  /// And a file that another backup has too.
  void put_manifest(const FileEntry& shared) {
    ManifestWriter manifest(repository_, instance_, id(number_), attempt_);
    manifest.add(own_);
    if (!shared.path.empty()) manifest.add(shared);
    manifest_ = manifest.finish().id;
  }
  void put_record(std::uint64_t segment) { mark_->publish(record(segment)); }
  [[nodiscard]] BackupRecord record(std::uint64_t segment) const {
    BackupRecord record;
    record.backup = id(number_);
    record.instance = instance_;
    record.wal_segment_size = kSize;
    record.timeline = 1;
    record.start_lsn = segment * kSize + 40;
    record.stop_lsn = (segment + 1) * kSize + 300;
    record.start_time = record.stop_time = repository_.clock().now();
    record.attempt = attempt_;
    record.manifest_id = manifest_;
    return record;
  }
  void end() { mark_.reset(); }
  /// All but its record.
  void prepare(core::ByteSpan bytes, const FileEntry& shared = {}) {
    begin();
    put_packs(bytes);
    put_manifest(shared);
  }
  /// The rest of it.
  void store(std::uint64_t segment) {
    put_record(segment);
    end();
  }
  [[nodiscard]] const FileEntry& own() const { return own_; }

 private:
  Repository& repository_;
  const std::string instance_;
  const int number_;
  std::unique_ptr<WriterMark> mark_;
  ObjectId attempt_{};
  FileEntry own_;
  ObjectId manifest_{};
};

class PruneTest : public RepositoryFixture {
 protected:
  PruneTest() {
    memory_ = std::make_shared<blob::testing::MemoryStore>(&clock_);
    store_ = std::make_shared<blob::testing::FaultyStore>(*memory_);
    repository_ = Repository::create(store_, key_, random_, clock_);
  }

  void put_segments(std::uint64_t from, std::uint64_t to, const std::string& instance = kInstance) {
    WalStore wal(*repository_, instance, kSize);
    SegmentIndex index;
    index.timeline = 1;
    for (index.segment = from; index.segment <= to; ++index.segment) wal.put_segment(core::Bytes(kSize), index, 1);
  }
  /// Backup n begins in segment 10 n and ends in the next one.
  FileEntry take(int number, const std::string& instance = kInstance, const FileEntry& shared = {}) {
    Attempt attempt(*repository_, instance, number);
    attempt.prepare(content(400), shared);
    attempt.store(static_cast<std::uint64_t>(number) * 10);
    FileEntry own = attempt.own();
    own.path = "shared";
    return own;
  }
  /// The store's content once more; repository_ is the one in the copy from now on.
  void work_on_a_copy_of(blob::testing::MemoryStore& original) {
    memory_ = std::make_shared<blob::testing::MemoryStore>(&clock_);
    for (const std::string& key : original.keys()) memory_->put(key, *original.get(key));
    repository_ = Repository::open(memory_, key_, random_, clock_);
  }
  PruneReport run(const PruneRequest& request = {}) { return prune(*repository_, request, {}); }
  /// As often as it takes for everything that may go to be gone.
  void run_to_the_end(const PruneRequest& request = {}) {
    for (int i = 0; i < 4; ++i) {
      clock_.advance(hours(25));
      run(request);
    }
  }
  static PruneRequest without(const std::vector<int>& numbers, const std::string& instance = kInstance) {
    PruneRequest request;
    for (const int number : numbers) request.backups.push_back({instance, id(number), "the test says so"});
    return request;
  }
  std::size_t count(std::string_view containing) {
    return static_cast<std::size_t>(std::ranges::count_if(
        memory_->keys(), [&](const std::string& key) { return key.find(containing) != std::string::npos; }));
  }
  /// The numbers of the segments that are left.
  std::string segments(const std::string& instance = kInstance) {
    std::string text;
    for (const auto& stored : WalStore(*repository_, instance, kSize).list(1)) {
      text += (text.empty() ? "" : " ") + std::to_string(stored.segment);
    }
    return text;
  }
  void expect_whole(const std::string& instance, const std::string& backup) {
    for (const auto& problem : verify_backup(*repository_, instance, backup, {}, {}).problems) {
      ADD_FAILURE() << backup << ": " << problem.object << ": " << problem.what;
    }
  }
  void expect_all_whole() {
    for (const std::string& instance : repository_->instances()) {
      for (const std::string& backup : repository_->backup_ids(instance)) expect_whole(instance, backup);
    }
  }
  static std::vector<PruneAction> actions(const PruneReport& report) {
    std::vector<PruneAction> found;
    for (const PruneStep& step : report.steps) found.push_back(step.action);
    return found;
  }
};

/// Runs something else at chosen calls of a run: what another process does meanwhile.
class InterruptedStore final : public blob::Store {
 public:
  explicit InterruptedStore(blob::Store& inner) : inner_(inner) {}
  void at_call(std::uint64_t nth, std::function<void()> work) { work_[calls_ + nth] = std::move(work); }

  void put(std::string_view key, core::ByteSpan content) override {
    enter();
    inner_.put(key, content);
  }
  bool put_if_absent(std::string_view, core::ByteSpan) override {
    throw core::Error(core::Code::kNotSupported, "no conditional writes here");
  }
  std::unique_ptr<blob::Upload> begin_upload(std::string_view key) override {
    enter();
    return inner_.begin_upload(key);
  }
  std::optional<core::Bytes> get(std::string_view key) override {
    enter();
    return inner_.get(key);
  }
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override {
    enter();
    return inner_.get_range(key, offset, length);
  }
  std::optional<blob::ObjectTail> get_tail(std::string_view key, std::uint64_t length) override {
    enter();
    return inner_.get_tail(key, length);
  }
  std::optional<blob::ObjectInfo> head(std::string_view key) override {
    enter();
    return inner_.head(key);
  }
  void list(std::string_view prefix, std::string_view after,
            const std::function<bool(const blob::ObjectInfo&)>& each) override {
    enter();
    const bool old = !missing_.empty() && prefix.ends_with("/backups/") && ++listings_ % 2 == 0;
    inner_.list(prefix, after, [&](const blob::ObjectInfo& object) {
      return (old && object.key.find(missing_) != std::string::npos) || each(object);
    });
  }
  void remove(std::span<const std::string> keys) override {
    enter();
    inner_.remove(keys);
  }
  [[nodiscard]] blob::StoreFeatures features() const override { return {}; }
  [[nodiscard]] std::string description() const override { return "interrupted"; }
  /// From now on every second list of backups is as old as if this had not been written.
  void list_late(std::string key_part) {
    missing_ = std::move(key_part);
    listings_ = 0;
  }

 private:
  void enter() {
    const auto at = work_.find(++calls_);
    if (at != work_.end()) at->second();
  }
  blob::Store& inner_;
  std::uint64_t calls_ = 0;
  std::uint64_t listings_ = 0;
  std::string missing_;
  std::map<std::uint64_t, std::function<void()>> work_;
};

}  // namespace backstay::repository::testing
