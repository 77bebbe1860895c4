// Counts and times what a store is asked.
#pragma once

#include <memory>

#include "blob/store.h"
#include "core/metrics.h"

namespace backstay::blob {

/// backstay_blob_requests_total{operation,outcome}, backstay_blob_request_seconds{operation} and
/// backstay_blob_bytes_total{direction}. An Upload's appends and finish count as operation "upload".
class MetricsStore final : public Store {
 public:
  /// Clock and metrics must outlive the store.
  MetricsStore(std::unique_ptr<Store> inner, core::Clock& clock, core::Metrics& metrics);

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
  [[nodiscard]] StoreFeatures features() const override { return inner_->features(); }
  [[nodiscard]] std::string description() const override { return inner_->description(); }

 private:
  friend class MetricsUpload;
  struct Operation {
    core::Counter succeeded;
    core::Counter failed;
    core::Histogram seconds;
  };
  static Operation make_operation(core::Metrics& metrics, const std::string& name);
  template <typename Call>
  auto measure(Operation& operation, Call call);

  const std::unique_ptr<Store> inner_;
  core::Clock& clock_;
  Operation put_;
  Operation get_;
  Operation head_;
  Operation list_;
  Operation remove_;
  Operation upload_;
  core::Counter sent_;
  core::Counter received_;
};

}  // namespace backstay::blob
