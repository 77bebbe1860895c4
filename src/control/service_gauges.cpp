#include "control/service_gauges.h"

#include <algorithm>
#include <utility>

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
  show_chain({}, {});
  show_backup_age({});
  show_verification({}, {}, {});
}

void ServiceGauges::show_risk(const std::optional<AtRisk>& risk) {
  constexpr Gauge kBytes{"backstay_control_wal_at_risk_bytes", "WAL that was written and is not in the store"};
  constexpr Gauge kAge{"backstay_control_wal_at_risk_seconds", "Age of the oldest WAL that is not in the store"};
  show(kBytes, risk ? std::optional(static_cast<double>(risk->bytes)) : std::nullopt);
  show(kAge, risk ? std::optional(seconds(risk->time)) : std::nullopt);
}

void ServiceGauges::show_chain(const std::optional<model::ChainReport>& report, core::Timestamp now) {
  static constexpr std::pair<model::ChainFault, Gauge> kFaults[] = {
      {model::ChainFault::kGap, {"backstay_control_wal_gap", "1 while times cannot be reached until a new backup"}},
      {model::ChainFault::kSlotStalled,
       {"backstay_control_wal_slot_stalled", "1 while the replication slot stands still, is lost or is gone"}},
      {model::ChainFault::kTimelineDiverged,
       {"backstay_control_wal_diverged", "1 while the server is not on the branch of its archive"}},
      {model::ChainFault::kObjectMissing,
       {"backstay_control_objects_missing", "1 while the store lacks what backups or their WAL need"}},
      {model::ChainFault::kClockDrift,
       {"backstay_control_store_clock_drifts", "1 while the store's clock is more than 30 s off"}}};
  for (const auto& [fault, gauge] : kFaults) {
    const bool is_there =
        report && std::ranges::any_of(report->problems, [fault](const auto& it) { return it.fault == fault; });
    // That nothing is wrong is known once everything was looked at.
    const bool is_known = is_there || (report && report->checked_at);
    show(gauge, is_known ? std::optional(is_there ? 1.0 : 0.0) : std::nullopt);
  }
  constexpr Gauge kOffset{"backstay_control_store_clock_offset_seconds", "The store's clock minus this machine's"};
  constexpr Gauge kAge{"backstay_control_archive_look_age_seconds", "Since the archive was looked at as a whole"};
  const bool has_offset = report && report->store_clock_offset;
  show(kOffset, has_offset ? std::optional(seconds(*report->store_clock_offset)) : std::nullopt);
  const bool looked = report && report->checked_at;
  show(kAge, looked ? std::optional(seconds(now - *report->checked_at)) : std::nullopt);
}

void ServiceGauges::show_backup_age(const std::optional<core::Duration>& age) {
  constexpr Gauge kAge{"backstay_control_confirmed_backup_age_seconds",
                       "Since the newest backup that was read back from the store and found whole"};
  show(kAge, age ? std::optional(seconds(*age)) : std::nullopt);
}

void ServiceGauges::show_verification(const std::optional<model::Backup>& last_verified,
                                      const std::optional<model::Backup>& last_tried, core::Timestamp now) {
  constexpr Gauge kAge{"backstay_control_verified_backup_age_seconds",
                       "Since a restore of one of the service's physical backups was seen to work"};
  constexpr Gauge kTime{"backstay_control_verified_recovery_seconds", "How long that restore took until it served"};
  constexpr Gauge kFailed{"backstay_control_verification_failed",
                          "1 while the newest backup that was verified was found damaged"};
  const auto* seen = last_verified && last_verified->verification ? &*last_verified->verification : nullptr;
  show(kAge, last_verified ? std::optional(seconds(now - last_verified->verified_at.value_or(now))) : std::nullopt);
  show(kTime, seen != nullptr && seen->recovery_time ? std::optional(seconds(*seen->recovery_time)) : std::nullopt);
  show(kFailed, last_tried ? std::optional(model::is_sound(*last_tried) ? 0.0 : 1.0) : std::nullopt);
}

void ServiceGauges::show(const Gauge& gauge, const std::optional<double>& value) {
  if (value) {
    metrics_.gauge(gauge.name, gauge.help, labels_).set(*value);
  } else {
    metrics_.remove_gauge(gauge.name, gauge.help, labels_);
  }
}

}  // namespace backstay::control
