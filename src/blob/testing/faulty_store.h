// A store that fails when it is told to.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "blob/store.h"
#include "core/error.h"
#include "core/mutex.h"

namespace backstay::blob::testing {

/// Passes calls on to another store. Thread-safe. A call is any method of Store or Upload but features and description.
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Store& inner) : inner_(inner) {}

  /// The nth call from now (1 = the next) fails with this code before it reaches the store; later ones pass again.
  void fail_call(std::uint64_t nth, core::Code code = core::Code::kStoreUnreachable);
  /// The same, but the call does its work first: the answer is what gets lost.
  void lose_answer(std::uint64_t nth, core::Code code = core::Code::kStoreUnreachable);
  /// Every call fails with store_unreachable until come_back.
  void go_away();
  void come_back();
  /// Reads return at most this many bytes, as a store that breaks its promise would.
  void truncate_reads(std::uint64_t length);
  /// From now on one bit is wrong in the first answer about each object, as after a bad network.
  void spoil_first_reads();
  /// The next listing takes so long that this happens under way: it shows neither what comes by it nor what goes.
  void during_next_list(std::function<void()> happens);
  /// Writes block until release_writes; for tests of back-pressure.
  void hold_writes();
  void release_writes();
  /// Calls so far, failed ones included.
  [[nodiscard]] std::uint64_t calls();

  void put(std::string_view key, core::ByteSpan content) override;
  bool put_if_absent(std::string_view key, core::ByteSpan content) override;
  std::unique_ptr<Upload> begin_upload(std::string_view key) override;
  std::optional<core::Bytes> get(std::string_view key) override;
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override;
  std::optional<ObjectTail> get_tail(std::string_view key, std::uint64_t length) override;
  std::optional<ObjectInfo> head(std::string_view key) override;
  void list(std::string_view prefix, std::string_view start_after,
            const std::function<bool(const ObjectInfo&)>& each) override;
  void remove(std::span<const std::string> keys) override;
  [[nodiscard]] StoreFeatures features() const override { return inner_.features(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

 private:
  friend class FaultyUpload;
  enum class Kind { kRead, kWrite };
  /// Counts the call, waits if writes are held, throws if it is to fail; true if the answer is to be lost.
  bool enter(Kind kind);
  void leave(bool lose);
  void list_around(std::string_view prefix, std::string_view start_after,
                   const std::function<bool(const ObjectInfo&)>& each, const std::function<void()>& happens);
  core::Bytes on_its_way(std::string_view key, core::Bytes content);

  Store& inner_;
  core::Mutex mutex_;
  core::Condition changed_;
  std::uint64_t calls_ GUARDED_BY(mutex_) = 0;
  /// Objects that were read already; nothing while answers are right.
  std::optional<std::set<std::string>> spoilt_ GUARDED_BY(mutex_);
  std::optional<std::uint64_t> fail_at_ GUARDED_BY(mutex_);
  std::optional<std::uint64_t> lose_at_ GUARDED_BY(mutex_);
  core::Code code_ GUARDED_BY(mutex_) = core::Code::kStoreUnreachable;
  std::optional<std::uint64_t> read_limit_ GUARDED_BY(mutex_);
  std::function<void()> during_list_ GUARDED_BY(mutex_);
  bool away_ GUARDED_BY(mutex_) = false;
  bool held_ GUARDED_BY(mutex_) = false;
};

}  // namespace backstay::blob::testing
