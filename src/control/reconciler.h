// Looks at every service and brings what is to what should be: dead servers, companions, storage, schedules, status.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>

#include "control/backup_schedule.h"
#include "control/companion_supervisor.h"
#include "control/event_log.h"
#include "control/look_schedule.h"
#include "control/operation_queue.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "control/service_gauges.h"
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
  /// The epoch of this run of the server: it looks at the services that it drives.
  std::int64_t server = 0;
};

struct ReconcilerConfig {
  /// Between two measurements of storage.
  core::Duration measure_every = std::chrono::seconds(30);
  /// Older WAL that is not in the store is told of.
  core::Duration behind_after = std::chrono::seconds(60);
  /// Between two looks at a service, as long as there are few of them.
  core::Duration look_every{};
};

/// For one thread. What it remembers is only how to tell a thing once; it may be lost at any time.
class Reconciler {
 public:
  Reconciler(ReconcilerDependencies dependencies, ReconcilerConfig config);

  /// One look at every service. A service that cannot be judged is logged and tried again at the next tick.
  /// Services that changed come first, then those that were not looked at for longest. After a while it ends although
  /// others are due, and returns true: it should be called again at once.
  bool tick();
  /// The service is another server's from now on.
  void forget(const std::string& service_id);
  /// The service is looked at in the next tick.
  void hurry(const std::string& service_id) { schedule_.hurry(service_id); }

 private:
  /// How soon a service wants the next look.
  enum class Pace {
    kGone,     ///< never
    kIdle,     ///< when it changes: nothing of it runs
    kRoutine,  ///< when it is its turn
    kSoon      ///< at every tick: something is not as it should be
  };
  /// What was seen of one service before.
  struct Watch {
    bool runs = false;
    std::optional<core::SteadyTime> measured_at;
    int unanswered = 0;
    bool reported_unreachable = false;
    bool reported_absent = false;
    bool store_away = false;
    bool behind = false;
    bool gap = false;
    /// Those that were told of; nothing before it is known what was told before.
    std::optional<std::set<model::ChainFault>> faults;
    std::deque<core::SteadyTime> restarts;
    std::optional<ServiceGauges> gauges;
  };
  /// One service at one tick.
  struct Look {
    ServiceBody body;
    std::vector<model::Operation> open;
  };

  std::optional<Look> load(const std::string& service_id);
  void take_and_follow();
  /// Nothing of it should run, or somebody else has it in hands.
  Pace leave_alone(const std::string& service_id);
  Pace look_at(const std::string& service_id);
  core::Duration pause_after(const std::string& service_id, Pace pace);
  Pace reconcile(const std::string& service_id);
  /// The same for what runs elsewhere; see reconciler_remote.cpp.
  void reconcile_remote(const Look& look, Watch& watch);
  void judge_remote(const Look& look, const Observation& seen, Watch& watch);
  void settle_remote(const Look& look, const Observation& seen);
  void correct_drift(const Look& look, const std::string& drift);
  void mark_invalid(const Look& look);
  /// True if nothing runs beside it but what is wanted.
  bool settle_companions(const Look& look, const std::vector<Companion>& wanted);
  void judge(const Look& look, const Observation& seen, Watch& watch);
  bool still_serves(const Look& look);
  void restart(const Look& look, const std::string& reason, Watch& watch);
  void set_unknown(const Look& look, EventKind kind, const std::string& reason, const std::string& next_step);
  void settle_running(const Look& look, Watch& watch);
  void judge_storage(const Look& look, std::uint64_t used);
  void judge_risk(const Look& look, Watch& watch);
  /// See reconciler_chain.cpp.
  void judge_chain(const Look& look, Watch& watch);
  void show_gauges(const Look& look, Watch& watch);
  void schedule(const Look& look, model::BackupOrigin origin);
  void count_states();

  ReconcilerDependencies deps_;
  ReconcilerConfig config_;
  core::Histogram tick_seconds_;
  LookSchedule schedule_;
  std::int64_t changes_seen_ = 0;
  /// How many services run.
  std::int64_t running_ = 0;
  std::optional<core::SteadyTime> counted_at_;
  std::map<std::string, Watch> watches_;
};

}  // namespace backstay::control
