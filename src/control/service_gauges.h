// What metrics tell of one service. Its gauges go with this object: there are never more labels than services.
#pragma once

#include <optional>
#include <string>

#include "control/provider.h"
#include "core/metrics.h"
#include "core/time.h"

namespace backstay::control {

/// The metrics outlive it. For one thread.
class ServiceGauges {
 public:
  ServiceGauges(core::Metrics& metrics, const std::string& service_id);
  ~ServiceGauges();
  ServiceGauges(const ServiceGauges&) = delete;
  ServiceGauges& operator=(const ServiceGauges&) = delete;

  /// Nothing while nothing archives the service.
  void show_risk(const std::optional<AtRisk>& risk);
  /// Nothing while nobody looks at the service's archive.
  void show_chain(const std::optional<model::ChainReport>& report, core::Timestamp now);
  /// Since the newest confirmed backup; nothing while there is none.
  void show_backup_age(const std::optional<core::Duration>& age);
  /// Of the backup that was last seen to work and of the newest one that was tried; nothing while there are none.
  void show_verification(const std::optional<model::Backup>& last_verified,
                         const std::optional<model::Backup>& last_tried, core::Timestamp now);

 private:
  struct Gauge;
  void show(const Gauge& gauge, const std::optional<double>& value);

  core::Metrics& metrics_;
  core::Labels labels_;
};

}  // namespace backstay::control
