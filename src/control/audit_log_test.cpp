#include "control/audit_log.h"

#include <optional>

#include <gtest/gtest.h>

#include "control/housekeeping.h"
#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/audit.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

model::AuditEntry entry(ControlWorld& world, const std::string& operation) {
  model::AuditEntry made;
  made.id = world.random.uuid();
  made.at = world.clock.now();
  made.method = "POST";
  made.operation = operation;
  made.status = 200;
  return made;
}

std::size_t kept(ControlWorld& world) { return world.queries->audit({}, world.admin).size(); }

TEST(AuditLogTest, AnEntryIsThereWhenItsRequestIsAnswered) {
  ControlWorld world;
  AuditLog log(*world.database);
  log.record(entry(world, "a"));
  EXPECT_EQ(kept(world), 1u);
  log.record(entry(world, "b"));
  EXPECT_EQ(world.queries->audit({}, world.admin).at(0).operation, "b");
}

TEST(AuditLogTest, ABusyStateNeitherFailsTheRequestNorLosesTheEntry) {
  ControlWorld world;
  std::optional<AuditLog> log(*world.database);
  {
    auto busy = world.database->begin(metadata::Access::kWrite);
    const auto begun = std::chrono::steady_clock::now();
    log->record(entry(world, "a"));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 2 * AuditLog::kPatience);
    EXPECT_EQ(kept(world), 0u);
  }
  log.reset();
  EXPECT_EQ(kept(world), 1u);
}

TEST(AuditLogTest, ConcurrentRequestsAreAllKept) {
  ControlWorld world;
  AuditLog log(*world.database);
  {
    std::vector<std::jthread> requests;
    for (int i = 0; i < 8; ++i) {
      requests.emplace_back([&] {
        for (int j = 0; j < 5; ++j) log.record(entry(world, "x"));
      });
    }
  }
  EXPECT_EQ(kept(world), 40u);
}

TEST(AuditLogTest, IsForAdministratorsAndGoesWithTheHistory) {
  ControlWorld world;
  AuditLog(*world.database).record(entry(world, "a"));
  auto reader = world.admin;
  reader.admin = false;
  EXPECT_THROW(world.queries->audit({}, reader), core::Error);
  world.clock.advance(std::chrono::hours(25));
  Housekeeping(*world.database, world.clock, std::chrono::hours(24)).tick();
  EXPECT_EQ(kept(world), 0u);
}

}  // namespace
}  // namespace backstay::control
