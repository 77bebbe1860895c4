// All of control around a fake provider and a clock that tests move: everything runs on the calling thread, but for
// companions.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "control/companion_supervisor.h"
#include "control/event_log.h"
#include "control/former_instances.h"
#include "control/import_commands.h"
#include "control/operation_runner.h"
#include "control/provider_commands.h"
#include "control/queries.h"
#include "control/reconciler.h"
#include "control/retention_schedule.h"
#include "control/schedule_commands.h"
#include "control/schedule_runner.h"
#include "control/service_commands.h"
#include "control/testing/fake_provider.h"
#include "control/testing/fake_spool.h"
#include "core/metrics.h"
#include "core/testing/manual_clock.h"
#include "core/testing/seeded_random.h"
#include "metadata/database.h"

namespace backstay::control::testing {

class ControlWorld {
 public:
  /// A new state, or the one in `directory`, as a process that starts finds it: what one before left running goes on.
  /// The provider is shared: what it runs outlives a process.
  explicit ControlWorld(const std::filesystem::path& directory = {}, std::shared_ptr<FakeProvider> shared = nullptr);
  ~ControlWorld();
  ControlWorld(const ControlWorld&) = delete;
  ControlWorld& operator=(const ControlWorld&) = delete;

  [[nodiscard]] CreateServiceRequest create_request(const std::string& name = "orders") const;
  [[nodiscard]] BackupsRequest backups_request() const;
  /// Creates a service and settles.
  model::Service make_service(bool with_backups = false);
  /// Ticks and runs what is due, until nothing is left to do now.
  void settle();
  /// Runs one operation if one is due.
  bool run_one();
  void tick() { reconciler->tick(); }
  /// Copies the state as a kill at this moment would leave it.
  void snapshot(const std::filesystem::path& to) const;
  model::Service service(const std::string& id) { return queries->service(id, admin).service; }
  /// The names of the service's events, oldest first.
  std::vector<std::string> events(const std::string& service_id);
  std::size_t count_events(const std::string& service_id, const std::string& name);
  [[nodiscard]] std::vector<std::string> calls() const { return provider->calls(); }

  /// The same in each run: when a service is due depends on its id.
  core::testing::SeededRandom random;
  std::filesystem::path directory;
  std::shared_ptr<FakeProvider> provider;
  core::testing::ManualClock clock;
  core::Metrics metrics;
  FakeStoreGate gate;
  FakeBackendGate backends;
  OperationFeed feed;
  std::unique_ptr<metadata::Database> database;
  std::unique_ptr<ProviderRegistry> registry;
  std::unique_ptr<OperationQueue> queue;
  std::unique_ptr<EventLog> log;
  std::unique_ptr<ServiceCommands> commands;
  FakeSpool spool;
  std::unique_ptr<ImportCommands> imports;
  std::unique_ptr<ProviderCommands> provider_commands;
  std::unique_ptr<ScheduleCommands> schedule_commands;
  std::unique_ptr<Queries> queries;
  std::unique_ptr<CompanionSupervisor> companions;
  std::unique_ptr<OperationRunner> runner;
  std::unique_ptr<Reconciler> reconciler;
  std::unique_ptr<RetentionSchedule> retention;
  std::unique_ptr<FormerInstances> former;
  std::unique_ptr<ScheduleRunner> schedules;
  Principal admin;
  /// Its epoch.
  std::int64_t server = 0;
  std::int64_t team_id = 0;

 private:
  bool owns_directory_;
};

}  // namespace backstay::control::testing
