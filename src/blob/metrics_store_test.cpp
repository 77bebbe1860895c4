#include "blob/metrics_store.h"

#include <gtest/gtest.h>

#include "blob/testing/memory_store.h"
#include "blob/testing/store_conformance.h"
#include "core/error.h"
#include "core/testing/manual_clock.h"

namespace backstay::blob {
namespace {

class MetricsFixture final : public testing::StoreFixture {
 public:
  Store& store() override { return store_; }
  std::string text() { return metrics_.text(); }

 private:
  core::testing::ManualClock clock_;
  core::Metrics metrics_;
  MetricsStore store_{std::make_unique<testing::MemoryStore>(), clock_, metrics_};
};

const bool kRegistered =
    testing::register_store_conformance("Metrics", [] { return std::make_unique<MetricsFixture>(); });

TEST(MetricsStoreTest, CountsCallsAndBytes) {
  MetricsFixture fixture;
  fixture.store().put("a", core::as_bytes("12345"));
  fixture.store().get("a");
  fixture.store().get_range("a", 0, 2);
  EXPECT_THROW(fixture.store().get("bad key"), core::Error);
  const std::string text = fixture.text();
  for (const auto* line :
       {"backstay_blob_requests_total{operation=\"put\",outcome=\"ok\"} 1",
        "backstay_blob_requests_total{operation=\"get\",outcome=\"ok\"} 2",
        "backstay_blob_requests_total{operation=\"get\",outcome=\"error\"} 1",
        "backstay_blob_bytes_total{direction=\"sent\"} 5", "backstay_blob_bytes_total{direction=\"received\"} 7",
        "backstay_blob_request_seconds_count{operation=\"get\"} 3"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << " in\n" << text;
  }
}

}  // namespace
}  // namespace backstay::blob
