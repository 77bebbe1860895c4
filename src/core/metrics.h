// Metrics: a registry of counters, gauges and histograms in the Prometheus text form.
//
// Names are backstay_<module>_<what>_<unit>; a module declares its metrics in one struct that it builds from a Metrics.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Registry;
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace backstay::core {

using Labels = std::map<std::string, std::string>;

/// Handles are cheap to copy, safe for any thread, and valid as long as the Metrics that made them.
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double value = 1);

 private:
  prometheus::Counter* counter_;
};
class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value);

 private:
  prometheus::Gauge* gauge_;
};
class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double value);

 private:
  prometheus::Histogram* histogram_;
};

/// Thread-safe; the same name and labels give the same metric.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  /// The gauge is not told any more, and its handles must not be used; one that is not there is fine.
  void remove_gauge(const std::string& name, const std::string& help, const Labels& labels);
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                      const Labels& labels = {});
  /// Everything, in the Prometheus text exposition format.
  [[nodiscard]] std::string text() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
};

}  // namespace backstay::core
