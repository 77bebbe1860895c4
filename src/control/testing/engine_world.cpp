#include "control/testing/engine_world.h"

#include <gtest/gtest.h>

#include "metadata/instances.h"
#include "metadata/teams.h"

namespace backstay::control::testing {

EngineWorld::EngineWorld(const std::filesystem::path& directory, std::vector<std::unique_ptr<Provider>> providers,
                         StoreGate& gate, CommandConfig config, DumpSpool* spool) {
  std::filesystem::create_directories(directory);
  database = metadata::Database::open({.file = directory / "state.db", .key = {}}, random);
  registry = std::make_unique<ProviderRegistry>(std::move(providers));
  queue = std::make_unique<OperationQueue>(clock, random, feed);
  commands =
      std::make_unique<ServiceCommands>(CommandDependencies{*database, *registry, *queue, gate, clock, random}, config);
  queries = std::make_unique<Queries>(*database, *registry);
  admin.token_name = "test";
  admin.admin = admin.may_read = admin.may_write = admin.all_teams = true;
  commands->bootstrap();
  team_id = database->read([](auto& tx) { return metadata::Teams(tx).list().front().id; });
  EngineConfig fast;
  fast.workers = 2;
  fast.ports = config.ports;
  fast.reconcile_every = std::chrono::milliseconds(200);
  fast.measure_every = std::chrono::seconds(1);
  fast.behind_after = std::chrono::seconds(2);
  engine = std::make_unique<Engine>(
      EngineDependencies{*database, *registry, *queue, clock, random, metrics, nullptr, spool}, fast);
  engine->start();
}

bool EngineWorld::wait_until(const std::string& service_id, const std::function<bool()>& condition,
                             std::chrono::seconds deadline) {
  const auto end = clock.steady_now() + deadline;
  while (clock.steady_now() < end) {
    if (condition()) return true;
    clock.wait({}, std::chrono::milliseconds(20));
  }
  std::string story;
  for (const auto& event : queries->service(service_id, admin).recent_events) {
    story = event.name + ": " + event.body + "\n" + story;
  }
  ADD_FAILURE() << "it did not come to that; the events are:\n" << story;
  return false;
}

bool EngineWorld::wait_for(const std::string& service_id, model::ServiceState state, std::chrono::seconds deadline) {
  return wait_until(
      service_id,
      [&] {
        const auto now = service(service_id);
        return now.status.state == state && now.status.observed_generation == now.generation;
      },
      deadline);
}

std::uint16_t EngineWorld::port(const std::string& service_id) {
  return database->read([&](auto& tx) { return metadata::Instances(tx).list_of_service(service_id).front().port; });
}

std::size_t EngineWorld::count_events(const std::string& service_id, const std::string& name) {
  EventFilter filter;
  filter.service_id = service_id;
  filter.after = 0;
  filter.limit = 1000;
  std::size_t count = 0;
  for (const auto& event : queries->events(filter, admin)) count += event.name == name ? 1 : 0;
  return count;
}

}  // namespace backstay::control::testing
