#include "os/user_processes.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "core/error.h"
#include "os/process.h"

namespace backstay::os {
namespace {

// Tests run beside each other: each process has users of its own.
const uid_t kUser = 2'000'000 + 2 * static_cast<uid_t>(::getpid());
const uid_t kNeighbour = kUser + 1;
constexpr auto kDeadline = std::chrono::seconds(20);

class UserProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root runs programs under other users";
  }
  void TearDown() override {
    if (::geteuid() == 0) end_processes_of(kNeighbour, clock_, kDeadline, {});
  }
  ProcessId start(uid_t user, const std::string& script) {
    Command command;
    command.argv = {"/bin/sh", "-c", script};
    command.environment = {{"PATH", "/usr/bin:/bin"}};
    command.identity = Identity{user, user};
    return runner_.start_detached(command);
  }

  core::SystemClock clock_;
  SystemProcessRunner runner_;
};

TEST_F(UserProcessesTest, EndsThoseThatForkAndIgnoreSignals) {
  const auto neighbour = start(kNeighbour, "while :; do sleep 1; done");
  start(kUser, "trap '' TERM INT HUP; setsid sh -c 'while :; do sleep 1; done' & while :; do (sleep 0.02); done");
  ASSERT_TRUE(any_process_of(kUser));
  end_processes_of(kUser, clock_, kDeadline, {});
  EXPECT_FALSE(any_process_of(kUser));
  EXPECT_TRUE(is_alive(neighbour));
}

TEST_F(UserProcessesTest, NobodyIsFine) { end_processes_of(kUser, clock_, kDeadline, {}); }

TEST_F(UserProcessesTest, RootIsNeverMeant) { EXPECT_THROW(end_processes_of(0, clock_, kDeadline, {}), core::Error); }

}  // namespace
}  // namespace backstay::os
