// Histories from seeds. A seed that fails prints what happened in it and how to see it again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/log.h"
#include "postgres/testing/test_cluster.h"
#include "simulation/settings.h"
#include "simulation/world.h"

/// Most of the time of a history would go into remembering where memory was taken.
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "malloc_context_size=2:detect_stack_use_after_return=0"; }

namespace backstay::simulation {
namespace {

class SimulationTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  SimulationTest() { core::set_log_level(core::LogLevel::kError); }
};

constexpr std::uint64_t kShares = 8;

TEST_P(SimulationTest, KeepsEveryPromise) {
  const std::uint64_t seeds = setting("BACKSTAY_SIMULATION_SEEDS", 160);
  const std::uint64_t first = first_seed();
  std::uint64_t requests = 0;
  std::uint64_t deaths = 0;
  std::uint64_t backups = 0;
  std::uint64_t by_map = 0;
  std::uint64_t gaps = 0;
  for (std::uint64_t seed = first + GetParam(); seed < first + seeds; seed += kShares) {
    const postgres::testing::TemporaryDirectory spool;
    const Report report = World(seed, spool.path()).run();
    requests += report.requests;
    deaths += report.deaths;
    backups += report.backups;
    by_map += report.by_map;
    gaps += report.gaps;
    const bool wanted = seeds == 1;
    if (report.broken.empty() && !wanted) continue;
    for (const std::string& step : report.steps) fmt::print(stderr, "{}\n", step);
    EXPECT_EQ(report.broken, "") << "seed " << seed << "; again: BACKSTAY_SIMULATION_SEEDS=1 "
                                 << "BACKSTAY_SIMULATION_FIRST_SEED=" << seed << " simulation_tests";
  }
  fmt::print("{} requests, {} backups, {} of them by the map of changed pages, {} gaps, {} processes killed\n",
             requests, backups, by_map, gaps, deaths);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationTest, ::testing::Range(std::uint64_t{0}, kShares));

}  // namespace
}  // namespace backstay::simulation
