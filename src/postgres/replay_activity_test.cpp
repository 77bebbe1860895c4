#include "postgres/replay_activity.h"

#include <gtest/gtest.h>

#include "core/time.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

TEST(ReplayActivityTest, IsSeenOnlyWhereWalIsReplayed) {
  testing::TestCluster cluster;
  EXPECT_FALSE(replay_ticks(cluster.server().find()->pid));
  cluster.stop();
  os::RealFileSystem files;
  const auto signal_file = cluster.paths().data() / "standby.signal";
  files.write_file_durably(signal_file, {}, 0600);
  give_to(files, signal_file, cluster.identity());
  os::SystemProcessRunner processes;
  ProcessLauncher launcher(processes);
  const auto process = cluster.server().start(launcher);
  core::SystemClock clock;
  const auto end = clock.steady_now() + std::chrono::seconds(60);
  while (!replay_ticks(process.pid) && clock.steady_now() < end) clock.wait({}, std::chrono::milliseconds(20));
  EXPECT_TRUE(replay_ticks(process.pid));
}

}  // namespace
}  // namespace backstay::postgres
