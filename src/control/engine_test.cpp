// Which work the engine's threads leave room for.
#include "control/engine.h"

#include <atomic>
#include <filesystem>

#include <gtest/gtest.h>

#include "control/import_commands.h"
#include "control/testing/engine_world.h"
#include "control/testing/fake_provider.h"
#include "control/testing/fake_spool.h"

namespace backstay::control {
namespace {

using testing::EngineWorld;
using testing::FakeProvider;

struct EngineTest : ::testing::Test {
  EngineTest() {
    auto made = std::make_unique<FakeProvider>();
    provider = made.get();
    std::vector<std::unique_ptr<Provider>> providers;
    providers.push_back(std::move(made));
    CommandConfig config;
    config.ports = {21000, 21999};
    world = std::make_unique<EngineWorld>(directory, std::move(providers), gate, config, &spool);
  }
  ~EngineTest() override {
    world.reset();
    std::filesystem::remove_all(directory);
  }

  std::string create(const std::string& name, bool with_backups) {
    CreateServiceRequest request;
    request.team_id = world->team_id;
    request.name = name;
    request.provider = {"postgresql", "15"};
    request.plan = {1, {{"storage", 10}}};
    request.secrets["password"] = core::Secret("correct horse");
    if (with_backups) {
      auto& backups = request.backups.emplace();
      backups.enabled = true;
      backups.interval_hours = 24;
      backups.retention_days = 7;
      backups.config = {{"destinationPath", "s3://backups/" + name + "/"}, {"endpointUrl", "https://s3.example.org"}};
      backups.secrets = model::Secrets{{"accessKey", core::Secret("AK")}, {"secretKey", core::Secret("SK")}};
    }
    return world->commands->create_service(request, world->admin).service.id;
  }

  core::SystemRandom random;
  std::filesystem::path directory = std::filesystem::temp_directory_path() / ("backstay-engine-" + random.token(12));
  testing::FakeStoreGate gate;
  testing::FakeSpool spool;
  FakeProvider* provider = nullptr;  // the world's
  std::atomic<int> hanging = 0;
  std::unique_ptr<EngineWorld> world;
};

TEST_F(EngineTest, StoresThatHangInRetentionLeaveWorkersForServices) {
  provider->on_call([&](const std::string& what, WorkContext& context) {
    if (what != "apply_retention") return;
    ++hanging;
    world->clock.wait(context.stop(), std::chrono::hours(1));
  });
  const auto first = create("first", true);
  create("second", true);
  create("third", true);
  ASSERT_TRUE(world->wait_until(first, [&] { return hanging >= 2; }));
  EXPECT_TRUE(world->wait_for(create("wanted", false), model::ServiceState::kSynchronized, std::chrono::seconds(20)));
  world->engine->stop();
}

TEST_F(EngineTest, DumpsThatComeSlowlyLeaveWorkersForServices) {
  provider->on_call([&](const std::string& what, WorkContext& context) {
    if (what != "import_dump") return;
    ++hanging;
    world->clock.wait(context.stop(), std::chrono::hours(1));
  });
  spool.paths["slow.sql"] = "";
  ImportCommands imports({*world->database, *world->registry, *world->queue, spool, world->clock, random});
  for (const auto* name : {"a", "b", "c", "d", "e"}) {
    const auto id = create(name, false);
    ASSERT_TRUE(world->wait_for(id, model::ServiceState::kSynchronized));
    imports.import_dump(id, {.path = "slow.sql"}, world->admin);
  }
  const auto wanted = create("wanted", false);
  ASSERT_TRUE(world->wait_until(wanted, [&] { return hanging >= 2; }));
  EXPECT_TRUE(world->wait_for(wanted, model::ServiceState::kSynchronized, std::chrono::seconds(20)));
  world->engine->stop();
}

}  // namespace
}  // namespace backstay::control
