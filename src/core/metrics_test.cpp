#include "core/metrics.h"

#include <gtest/gtest.h>

namespace backstay::core {
namespace {

TEST(MetricsTest, WritesThePrometheusText) {
  Metrics metrics;
  metrics.counter("backstay_test_total", "things", {{"kind", "a"}}).add(2);
  metrics.counter("backstay_test_total", "things", {{"kind", "a"}}).add(1);
  metrics.gauge("backstay_test_bytes", "size").set(7);
  metrics.histogram("backstay_test_seconds", "time", {0.1, 1}).observe(0.5);
  const std::string text = metrics.text();
  EXPECT_NE(text.find("backstay_test_total{kind=\"a\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("backstay_test_bytes 7"), std::string::npos) << text;
  EXPECT_NE(text.find("backstay_test_seconds_bucket{le=\"1\"} 1"), std::string::npos) << text;
}

TEST(MetricsTest, ForgetsAGauge) {
  Metrics metrics;
  metrics.gauge("backstay_test_bytes", "size", {{"of", "a"}}).set(1);
  metrics.gauge("backstay_test_bytes", "size", {{"of", "b"}}).set(2);
  for (int i = 0; i < 2; ++i) metrics.remove_gauge("backstay_test_bytes", "size", {{"of", "a"}});
  const std::string text = metrics.text();
  EXPECT_EQ(text.find("of=\"a\""), std::string::npos) << text;
  EXPECT_NE(text.find("of=\"b\""), std::string::npos) << text;
}

}  // namespace
}  // namespace backstay::core
