#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using model::ChainFault;
using testing::ControlWorld;

TEST(ReconcilerChainTest, EveryFaultIsToldWhenItBeginsAndWhenItEnds) {
  const std::vector<std::tuple<ChainFault, std::string, std::string>> faults = {
      {ChainFault::kSlotStalled, "wal.slot_stalled", "wal.slot_moves"},
      {ChainFault::kTimelineDiverged, "wal.diverged", "wal.rejoined"},
      {ChainFault::kObjectMissing, "backups.incomplete", "backups.whole"},
      {ChainFault::kClockDrift, "store.clock_drifts", "store.clock_fits"}};
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto tick_twice = [&](const model::ChainReport& report) {
    world.provider->set_chain(report);
    world.tick();
    world.tick();
  };
  for (std::size_t round = 1; round <= 2; ++round) {
    for (const auto& [fault, begins, ends] : faults) {
      tick_twice({.problems = {{fault, "somewhere", {}, false}}});
      EXPECT_EQ(world.count_events(id, begins), round);
      EXPECT_EQ(world.count_events(id, ends), round - 1);
      tick_twice({.checked_at = world.clock.now()});
      EXPECT_EQ(world.count_events(id, begins), round);
      EXPECT_EQ(world.count_events(id, ends), round);
    }
  }
}

TEST(ReconcilerChainTest, NothingIsOverBeforeSomebodyHasLooked) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.provider->set_chain(model::ChainReport{.problems = {{ChainFault::kObjectMissing, "a pack", {}, false}}});
  world.tick();
  world.provider->set_chain(model::ChainReport{});
  world.tick();
  EXPECT_EQ(world.count_events(id, "backups.whole"), 0U);
  EXPECT_EQ(world.metrics.text().find("backstay_control_objects_missing{"), std::string::npos);
  world.provider->set_chain(model::ChainReport{.checked_at = world.clock.now()});
  world.tick();
  EXPECT_EQ(world.count_events(id, "backups.whole"), 1U);
}

TEST(ReconcilerChainTest, WhatWasToldBeforeARestartIsToldOnceAndEnds) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  model::ChainReport report{
      .problems = {{ChainFault::kObjectMissing, "a pack", {}, false}, {ChainFault::kClockDrift, "120 s", {}, false}}};
  world.provider->set_chain(report);
  world.tick();
  report.checked_at = world.clock.now();
  report.problems.pop_back();
  world.provider->set_chain(report);
  const auto restart = [&] {
    world.reconciler->forget(id);
    world.reconciler->hurry(id);
  };
  restart();
  world.tick();
  EXPECT_EQ(world.count_events(id, "backups.incomplete"), 1U);
  EXPECT_EQ(world.count_events(id, "store.clock_fits"), 1U) << "it ended meanwhile";
  restart();
  world.tick();
  EXPECT_EQ(world.count_events(id, "store.clock_fits"), 1U);
  EXPECT_EQ(world.count_events(id, "wal.rejoined"), 0U);
}

TEST(ReconcilerChainTest, MetricsTellOfEachFaultAsLongAsSomebodyLooks) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto value = [&](const std::string& name) -> std::string {
    const std::string text = world.metrics.text();
    const std::string line = name + "{service=\"" + id + "\"} ";
    const auto at = text.find(line);
    return at == std::string::npos ? "" : text.substr(at + line.size(), text.find('\n', at) - at - line.size());
  };
  EXPECT_EQ(value("backstay_control_objects_missing"), "");
  world.provider->set_chain(model::ChainReport{.checked_at = world.clock.now(),
                                               .problems = {{ChainFault::kObjectMissing, "a pack", {}, true}},
                                               .store_clock_offset = std::chrono::seconds(-4)});
  world.clock.advance(std::chrono::seconds(7));
  world.tick();
  EXPECT_EQ(value("backstay_control_objects_missing"), "1");
  EXPECT_EQ(value("backstay_control_wal_gap"), "0");
  EXPECT_EQ(value("backstay_control_wal_slot_stalled"), "0");
  EXPECT_EQ(value("backstay_control_wal_diverged"), "0");
  EXPECT_EQ(value("backstay_control_store_clock_drifts"), "0");
  EXPECT_EQ(value("backstay_control_store_clock_offset_seconds"), "-4");
  EXPECT_EQ(value("backstay_control_archive_look_age_seconds"), "7");
  world.provider->set_chain({});
  world.tick();
  EXPECT_EQ(value("backstay_control_wal_gap"), "");
}

TEST(ReconcilerChainTest, TheBackupThatEndsAGapWaitsForTheStore) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto safety_backups = [&] {
    const auto backups = world.queries->backups({.service_id = id}, world.admin);
    return std::ranges::count(backups, model::BackupOrigin::kSafety, &model::Backup::origin);
  };
  AtRisk risk;
  risk.needs_backup = "WAL was not stored";
  risk.store_reachable = false;
  world.provider->set_at_risk(risk);
  world.settle();
  EXPECT_EQ(safety_backups(), 0);
  risk.store_reachable = true;
  world.provider->set_at_risk(risk);
  world.settle();
  EXPECT_EQ(safety_backups(), 1);
  // Once, not in a loop.
  world.settle();
  EXPECT_EQ(safety_backups(), 1);
}

}  // namespace
}  // namespace backstay::control
