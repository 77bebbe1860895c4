#include "control/service_gauges.h"

namespace backstay::control {

struct ServiceGauges::Gauge {
  const char* name;
  const char* help;
};

namespace {

double seconds(core::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

ServiceGauges::ServiceGauges(core::Metrics& metrics, const std::string& service_id)
    : metrics_(metrics), labels_{{"service", service_id}} {}

ServiceGauges::~ServiceGauges() {
  show_risk({});
  show_backup_age({});
}

void ServiceGauges::show_risk(const std::optional<AtRisk>& risk) {
  constexpr Gauge kBytes{"backstay_control_wal_at_risk_bytes", "WAL that was written and is not in the store"};
  constexpr Gauge kAge{"backstay_control_wal_at_risk_seconds", "Age of the oldest WAL that is not in the store"};
  show(kBytes, risk ? std::optional(static_cast<double>(risk->bytes)) : std::nullopt);
  show(kAge, risk ? std::optional(seconds(risk->time)) : std::nullopt);
}

void ServiceGauges::show_backup_age(const std::optional<core::Duration>& age) {
  constexpr Gauge kAge{"backstay_control_confirmed_backup_age_seconds",
                       "Since the newest backup that was read back from the store and found whole"};
  show(kAge, age ? std::optional(seconds(*age)) : std::nullopt);
}

void ServiceGauges::show(const Gauge& gauge, const std::optional<double>& value) {
  if (value) {
    metrics_.gauge(gauge.name, gauge.help, labels_).set(*value);
  } else {
    metrics_.remove_gauge(gauge.name, gauge.help, labels_);
  }
}

}  // namespace backstay::control
