// Reads that are begun before anybody asks for them, so that those which do not depend on one another wait together.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "blob/store.h"
#include "core/error.h"
#include "core/mutex.h"

namespace backstay::blob {

/// A store in which reading can be begun early. What was begun answers one question of each kind; asked the same again
/// (because something was damaged, or has gone since), or for a part of what was given whole or in a range, and for all
/// that was not begun, the store behind it answers.
/// What failed early is as if it had not been begun. Writes go through. Safe for any thread.
class EarlyReads final : public Store {
 public:
  /// `threads`: how many reads are under way at once at most.
  EarlyReads(std::shared_ptr<Store> store, unsigned threads);
  ~EarlyReads() override;

  /// Begins to read the first page of keys that start with `prefix`. Once.
  void begin_list(std::string prefix);
  /// Begins to read an object, or its last bytes. Those begun first come first.
  void begin_get(std::string key);
  void begin_get_tail(std::string key, std::uint64_t length);
  /// Waits for the page; nothing if it could not be read, or if there are more keys than it holds.
  std::optional<std::vector<ObjectInfo>> all_listed();

  void put(std::string_view key, core::ByteSpan content) override { store_->put(key, content); }
  bool put_if_absent(std::string_view key, core::ByteSpan content) override {
    return store_->put_if_absent(key, content);
  }
  std::unique_ptr<Upload> begin_upload(std::string_view key) override { return store_->begin_upload(key); }
  std::optional<core::Bytes> get(std::string_view key) override;
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override;
  std::optional<ObjectTail> get_tail(std::string_view key, std::uint64_t length) override;
  std::optional<ObjectInfo> head(std::string_view key) override { return store_->head(key); }
  void list(std::string_view prefix, std::string_view start_after,
            const std::function<bool(const ObjectInfo&)>& each) override;
  void remove(std::span<const std::string> keys) override { store_->remove(keys); }
  [[nodiscard]] std::optional<core::Duration> clock_offset() const override { return store_->clock_offset(); }
  [[nodiscard]] StoreFeatures features() const override { return store_->features(); }
  [[nodiscard]] std::string description() const override { return store_->description(); }

 private:
  /// The last bytes of an object, as many as were asked for.
  struct Read {
    std::uint64_t length = 0;
    bool begun = false;
    bool ended = false;
    bool failed = false;
    std::optional<ObjectTail> tail = {};  // nothing: there is no such object
  };
  struct Page {
    std::string prefix = {};
    bool ended = false;
    bool failed = false;
    bool complete = false;
    std::vector<ObjectInfo> objects = {};
  };
  void begin(std::string key, std::uint64_t length);
  void work(const std::stop_token& stop);
  void read_page();
  void read(const std::string& key, std::uint64_t length);
  /// Who asks for what is still waiting reads it himself.
  void read_now_if_waiting(std::string_view key) EXCLUDES(mutex_);
  /// What is known of the object, if the question is asked for the first time; waits for it if it is on its way.
  std::shared_ptr<const Read> find(std::string_view key, const std::string& question);
  /// Of what all or a range was given, no range is given any more.
  void note_given(std::string_view key) EXCLUDES(mutex_);
  bool was_given(std::string_view key) EXCLUDES(mutex_);
  [[nodiscard]] bool is_absent(std::string_view key) const REQUIRES(mutex_);
  /// The keys of the page in the order of a listing, if it can answer.
  std::optional<std::vector<ObjectInfo>> find_listed(std::string_view prefix, std::string_view start_after);

  const std::shared_ptr<Store> store_;
  core::Mutex mutex_;
  core::Condition changed_;
  std::optional<Page> page_ GUARDED_BY(mutex_);
  bool page_begun_ GUARDED_BY(mutex_) = false;
  std::map<std::string, std::shared_ptr<Read>, std::less<>> reads_ GUARDED_BY(mutex_);
  std::deque<std::string> waiting_ GUARDED_BY(mutex_);
  std::set<std::string> answered_ GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> given_ GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

}  // namespace backstay::blob
