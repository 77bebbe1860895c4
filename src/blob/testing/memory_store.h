// A store in memory that keeps every guarantee of the contract.
#pragma once

#include <map>

#include "blob/store.h"
#include "core/mutex.h"

namespace backstay::blob::testing {

class MemoryStore final : public Store {
 public:
  /// `clock` gives objects their times; without one they are at the epoch.
  explicit MemoryStore(core::Clock* clock = nullptr) : clock_(clock) {}

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
  [[nodiscard]] StoreFeatures features() const override { return {.conditional_put = true}; }
  [[nodiscard]] std::string description() const override { return "memory"; }

  /// All keys in order.
  [[nodiscard]] std::vector<std::string> keys();
  /// Changes one byte of an object, as a bad disk would; the object must exist and reach that far.
  void corrupt(std::string_view key, std::uint64_t offset);

 private:
  struct Object {
    core::Bytes content;
    core::Timestamp modified;
  };
  void refuse_if_directory(std::string_view key) REQUIRES(mutex_);
  core::Timestamp now() { return clock_ != nullptr ? clock_->now() : core::Timestamp(); }

  core::Clock* const clock_;
  core::Mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_ GUARDED_BY(mutex_);
};

}  // namespace backstay::blob::testing
