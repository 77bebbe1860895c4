// All of control with its engine running, on the machine's clock: for tests of real providers.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/engine.h"
#include "control/queries.h"
#include "control/service_commands.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control::testing {

class EngineWorld {
 public:
  /// Opens or makes the state in `directory` and starts. The gate and the spool, if any, outlive the world.
  EngineWorld(const std::filesystem::path& directory, std::vector<std::unique_ptr<Provider>> providers, StoreGate& gate,
              CommandConfig config, DumpSpool* spool = nullptr);

  /// Waits until the condition holds; fails the test with the service's events otherwise.
  bool wait_until(const std::string& service_id, const std::function<bool()>& condition,
                  std::chrono::seconds deadline = std::chrono::seconds(60));
  /// Waits for the state with nothing left to apply.
  bool wait_for(const std::string& service_id, model::ServiceState state,
                std::chrono::seconds deadline = std::chrono::seconds(60));
  model::Service service(const std::string& id) { return queries->service(id, admin).service; }
  /// Of the service's first instance, also before it serves.
  std::uint16_t port(const std::string& service_id);
  std::size_t count_events(const std::string& service_id, const std::string& name);

  core::SystemClock clock;
  core::SystemRandom random;
  core::Metrics metrics;
  OperationFeed feed;
  std::unique_ptr<metadata::Database> database;
  std::unique_ptr<ProviderRegistry> registry;
  std::unique_ptr<OperationQueue> queue;
  std::unique_ptr<ServiceCommands> commands;
  std::unique_ptr<Queries> queries;
  std::unique_ptr<Engine> engine;
  Principal admin;
  std::int64_t team_id = 0;
};

}  // namespace backstay::control::testing
