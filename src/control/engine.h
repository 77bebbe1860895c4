// Everything of control that runs by itself: workers, the reconciler, the schedule, companions.
#pragma once

#include <chrono>
#include <memory>

#include "control/dump_spool.h"
#include "control/membership.h"
#include "control/notifier.h"
#include "control/operation_queue.h"
#include "control/ports.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

struct EngineConfig {
  unsigned workers = 4;
  PortRange ports{};
  /// Between two looks at each service.
  std::chrono::milliseconds reconcile_every{1000};
  /// Between two measurements of storage.
  std::chrono::seconds measure_every{30};
  /// Older WAL that is not in the store is told of.
  std::chrono::seconds behind_after{60};
  /// How long events, and operations that have ended, are kept.
  std::chrono::hours keep_history{24 * 90};
  /// How long work that reads a backup may go on after the backup was to go.
  std::chrono::seconds removal_grace{std::chrono::hours(24)};
  /// How long the data of an instance that was switched away from is kept.
  std::chrono::seconds rollback_grace{std::chrono::hours(24)};
  /// See CommandConfig.
  std::uint32_t first_uid = 0;
  std::uint32_t last_uid = 0;
  /// The newest backup of each service is verified when the last attempt is so old; 0: never by itself.
  std::chrono::hours verify_every{24};
  /// And when so many were confirmed since; 0: however many.
  std::int64_t verify_nth = 0;
  MembershipConfig membership{};
};

/// What the engine needs; all outlive it.
struct EngineDependencies {
  metadata::Database& database;
  ProviderRegistry& providers;
  OperationQueue& operations;
  core::Clock& clock;
  core::Random& random;
  core::Metrics& metrics;
  /// Null: nobody is told of events.
  Notifier* notifier = nullptr;
  /// Null: nothing is imported.
  DumpSpool* spool = nullptr;
};

class Engine {
 public:
  Engine(EngineDependencies dependencies, EngineConfig config);
  /// Stops.
  ~Engine();

  /// Enters among the servers of the state, requeues what a process before left running, then starts the threads. Once.
  void start();
  /// Asks all work to stop and waits for it: running operations go back into the queue and continue at the next start;
  /// services keep running, and other servers of the state take everything over.
  void stop();

 private:
  class Life;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstay::control
