#include "blob/metrics_store.h"

namespace backstay::blob {
namespace {

const std::vector<double> kSeconds = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100};

core::Counter byte_counter(core::Metrics& metrics, const char* direction) {
  return metrics.counter("backstay_blob_bytes_total", "object bytes moved to and from stores",
                         {{"direction", direction}});
}

}  // namespace

class MetricsUpload final : public Upload {
 public:
  MetricsUpload(MetricsStore& store, std::unique_ptr<Upload> inner) : store_(store), inner_(std::move(inner)) {}
  void append(core::ByteSpan bytes) override;
  void finish() override;

 private:
  MetricsStore& store_;
  const std::unique_ptr<Upload> inner_;
};

MetricsStore::Operation MetricsStore::make_operation(core::Metrics& metrics, const std::string& name) {
  const auto counter = [&](const char* outcome) {
    return metrics.counter("backstay_blob_requests_total", "calls to stores",
                           {{"operation", name}, {"outcome", outcome}});
  };
  return {.succeeded = counter("ok"),
          .failed = counter("error"),
          .seconds = metrics.histogram("backstay_blob_request_seconds", "how long calls to stores took", kSeconds,
                                       {{"operation", name}})};
}

MetricsStore::MetricsStore(std::unique_ptr<Store> inner, core::Clock& clock, core::Metrics& metrics)
    : inner_(std::move(inner)),
      clock_(clock),
      put_(make_operation(metrics, "put")),
      get_(make_operation(metrics, "get")),
      head_(make_operation(metrics, "head")),
      list_(make_operation(metrics, "list")),
      remove_(make_operation(metrics, "remove")),
      upload_(make_operation(metrics, "upload")),
      sent_(byte_counter(metrics, "sent")),
      received_(byte_counter(metrics, "received")) {}

template <typename Call>
auto MetricsStore::measure(Operation& operation, Call call) {
  struct Measurement {
    Operation& operation;
    core::Clock& clock;
    core::SteadyTime begin;
    bool succeeded = false;
    ~Measurement() {
      const std::chrono::duration<double> time = clock.steady_now() - begin;
      operation.seconds.observe(time.count());
      (succeeded ? operation.succeeded : operation.failed).add();
    }
  };
  Measurement measurement{.operation = operation, .clock = clock_, .begin = clock_.steady_now()};
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    measurement.succeeded = true;
  } else {
    auto result = call();
    measurement.succeeded = true;
    return result;
  }
}

void MetricsUpload::append(core::ByteSpan bytes) {
  store_.measure(store_.upload_, [&] { inner_->append(bytes); });
  store_.sent_.add(static_cast<double>(bytes.size()));
}

void MetricsUpload::finish() {
  store_.measure(store_.upload_, [&] { inner_->finish(); });
}

void MetricsStore::put(std::string_view key, core::ByteSpan content) {
  measure(put_, [&] { inner_->put(key, content); });
  sent_.add(static_cast<double>(content.size()));
}

bool MetricsStore::put_if_absent(std::string_view key, core::ByteSpan content) {
  const bool created = measure(put_, [&] { return inner_->put_if_absent(key, content); });
  if (created) sent_.add(static_cast<double>(content.size()));
  return created;
}

std::unique_ptr<Upload> MetricsStore::begin_upload(std::string_view key) {
  return std::make_unique<MetricsUpload>(*this, inner_->begin_upload(key));
}

std::optional<core::Bytes> MetricsStore::get(std::string_view key) {
  auto content = measure(get_, [&] { return inner_->get(key); });
  if (content) received_.add(static_cast<double>(content->size()));
  return content;
}

std::optional<core::Bytes> MetricsStore::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  auto content = measure(get_, [&] { return inner_->get_range(key, offset, length); });
  if (content) received_.add(static_cast<double>(content->size()));
  return content;
}

std::optional<ObjectTail> MetricsStore::get_tail(std::string_view key, std::uint64_t length) {
  auto tail = measure(get_, [&] { return inner_->get_tail(key, length); });
  if (tail) received_.add(static_cast<double>(tail->content.size()));
  return tail;
}

std::optional<ObjectInfo> MetricsStore::head(std::string_view key) {
  return measure(head_, [&] { return inner_->head(key); });
}

void MetricsStore::list(std::string_view prefix, std::string_view start_after,
                        const std::function<bool(const ObjectInfo&)>& each) {
  measure(list_, [&] { inner_->list(prefix, start_after, each); });
}

void MetricsStore::remove(std::span<const std::string> keys) {
  measure(remove_, [&] { inner_->remove(keys); });
}

}  // namespace backstay::blob
