// Looks at every service and brings what is to what should be: dead servers, companions, storage, schedules, status.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "control/backup_schedule.h"
#include "control/companion_supervisor.h"
#include "control/event_log.h"
#include "control/operation_queue.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "core/metrics.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/operation.h"

namespace backstay::control {

/// What the reconciler needs; all outlive it.
struct ReconcilerDependencies {
  metadata::Database& database;
  ProviderRegistry& providers;
  OperationQueue& queue;
  EventLog& events;
  CompanionSupervisor& companions;
  core::Clock& clock;
  core::Random& random;
  core::Metrics& metrics;
};

/// For one thread. What it remembers is only how to tell a thing once; it may be lost at any time.
class Reconciler {
 public:
  Reconciler(ReconcilerDependencies dependencies, core::Duration measure_every)
      : deps_(dependencies), measure_every_(measure_every) {}

  /// One look at every service. A service that cannot be judged is logged and tried again at the next tick.
  void tick();

 private:
  /// What was seen of one service before.
  struct Watch {
    std::optional<core::SteadyTime> measured_at;
    int unanswered = 0;
    bool reported_unreachable = false;
    bool reported_absent = false;
    bool store_away = false;
    bool behind = false;
    bool gap = false;
    std::deque<core::SteadyTime> restarts;
  };
  /// One service at one tick.
  struct Look {
    ServiceBody body;
    std::vector<model::Operation> open;
  };

  std::optional<Look> load(const std::string& service_id);
  void reconcile(const std::string& service_id);
  void judge(const Look& look, const Observation& seen, Watch& watch);
  void restart(const Look& look, const std::string& reason, Watch& watch);
  void set_unknown(const Look& look, EventKind kind, const std::string& reason, const std::string& next_step);
  void settle_running(const Look& look, Watch& watch);
  void judge_storage(const Look& look, std::uint64_t used);
  void judge_risk(const Look& look, Watch& watch);
  void schedule(const Look& look, model::BackupOrigin origin);
  void count_states();

  ReconcilerDependencies deps_;
  core::Duration measure_every_;
  std::map<std::string, Watch> watches_;
};

}  // namespace backstay::control
