// The S3 driver: any store that speaks the S3 protocol.
#pragma once

#include <memory>
#include <optional>

#include "blob/driver.h"
#include "blob/s3_client.h"
#include "core/random.h"

namespace backstay::blob {

class S3Store final : public Store, public StoreDiagnostics {
 public:
  /// Content more than a quarter above `part_size` is sent in parts of that size. `random` must outlive the store.
  S3Store(std::unique_ptr<http::Transport> transport, S3Location location, Credentials credentials,
          const StorePolicy& policy, const StoreContext& context);

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
  [[nodiscard]] std::optional<core::Duration> clock_offset() const override { return client_.clock_offset(); }
  /// Tried out once with an object of its own, because many stores ignore the condition silently. May throw.
  [[nodiscard]] StoreFeatures features() const override;
  [[nodiscard]] std::string description() const override { return client_.location().description(); }

  core::Timestamp store_time() override;
  bool versioning() override;
  std::optional<std::string> object_lock() override;

 private:
  std::string full_key(std::string_view key) const;
  /// False if the store says that the object exists.
  bool put_conditionally(const std::string& full_key, core::ByteSpan content) const;
  bool try_condition() const;
  /// GET with a Range header; nothing if there is no object. 416 passes through.
  std::optional<http::ClientResponse> get_response(std::string_view key, const std::string& range,
                                                   std::uint64_t length);
  void remove_some(std::span<const std::string> full_keys);

  const std::unique_ptr<http::Transport> transport_;
  mutable S3Client client_;
  const std::uint64_t part_size_;
  core::Random& random_;
  mutable core::Mutex mutex_;
  mutable std::optional<bool> conditional_put_ GUARDED_BY(mutex_);
};

}  // namespace backstay::blob
