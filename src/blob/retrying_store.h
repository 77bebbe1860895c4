// Asks again when a store has a bad moment.
#pragma once

#include <memory>
#include <optional>

#include "blob/destination.h"
#include "blob/store.h"
#include "core/error.h"

namespace backstay::blob {

/// Repeats calls that fail with store_unreachable or timeout, with exponential back-off and jitter, within the policy's
/// attempts and deadline; then the last error comes out. put_if_absent that was repeated reads the object back to learn
/// whether its own lost attempt had won: its content must differ from every other writer's.
class RetryingStore final : public Store {
 public:
  RetryingStore(std::unique_ptr<Store> inner, RetryPolicy policy, StoreContext context);

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
  [[nodiscard]] std::optional<core::Duration> clock_offset() const override { return inner_->clock_offset(); }
  [[nodiscard]] StoreFeatures features() const override;
  [[nodiscard]] std::string description() const override { return inner_->description(); }

 private:
  friend class RetryingUpload;
  /// Calls `call` until it succeeds; it gets the number of the attempt, from 1.
  template <typename Call>
  auto retry(Call call) const;
  /// Waits before the next attempt, or throws: `error` if there is none, cancelled if stopped.
  void wait_or_throw(const core::Error& error, unsigned attempt, core::SteadyTime deadline) const;

  const std::unique_ptr<Store> inner_;
  const RetryPolicy policy_;
  const StoreContext context_;
  mutable std::optional<core::Counter> retries_;
};

}  // namespace backstay::blob
