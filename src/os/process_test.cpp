#include "os/process.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "core/time.h"

namespace backstay::os {
namespace {

class ProcessTest : public ::testing::Test {
 public:
  ProcessTest() {
    core::SystemRandom random;
    root_ = "/tmp/backstay-process-" + random.token(12);
    std::filesystem::create_directory(root_);
  }
  ~ProcessTest() override { std::filesystem::remove_all(root_); }

 protected:
  static Command shell(const std::string& script) {
    Command command;
    command.argv = {"sh", "-c", script};
    return command;
  }
  std::string text_of(const std::filesystem::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  template <typename Condition>
  static bool eventually(Condition condition) {
    core::SystemClock clock;
    const auto deadline = clock.steady_now() + std::chrono::seconds(20);
    while (!condition()) {
      if (clock.steady_now() > deadline) return false;
      ::poll(nullptr, 0, 5);  // An outside process leaves no other way to see it.
    }
    return true;
  }

  SystemProcessRunner runner_;
  std::filesystem::path root_;
};

TEST_F(ProcessTest, CapturesBothStreamsAndTheExitCode) {
  const auto result = runner_.run(shell("echo out; echo err >&2; exit 3"), {});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.error, "err\n");
}

TEST_F(ProcessTest, FeedsInputLargerThanThePipe) {
  Command command = shell("wc -c");
  command.input = std::string(1'000'000, 'x');
  EXPECT_EQ(core::trim(runner_.run(command, {}).output), "1000000");
}

TEST_F(ProcessTest, InputThatNobodyReadsDoesNotKillUs) {
  Command command = shell("exit 0");
  command.input = std::string(1'000'000, 'x');
  EXPECT_EQ(runner_.run(command, {}).exit_code, 0);
}

TEST_F(ProcessTest, KeepsTheEndOfLongOutput) {
  Command command = shell("head -c 3000000 /dev/zero | tr '\\0' a; echo end");
  command.output_limit = 1000;
  const auto result = runner_.run(command, {});
  EXPECT_EQ(result.output.size(), 1000U);
  EXPECT_TRUE(result.output.ends_with("aaaend\n"));
}

TEST_F(ProcessTest, OutputIsPassedOnAsItComes) {
  Command command = shell("head -c 3000000 /dev/zero | tr '\\0' a; echo end");
  std::size_t size = 0;
  std::string end;
  command.on_output = [&](std::string_view part) {
    size += part.size();
    end = part.substr(part.size() - std::min<std::size_t>(part.size(), 4));
  };
  const auto result = runner_.run(command, {});
  EXPECT_EQ(size, 3'000'004U);
  EXPECT_EQ(end, "end\n");
  EXPECT_TRUE(result.output.empty());
}

TEST_F(ProcessTest, WhoDoesNotWantTheOutputEndsTheProgram) {
  Command command = shell("while :; do echo more; done");
  command.on_output = [](std::string_view) { throw core::Error(core::Code::kCancelled, "enough"); };
  EXPECT_THROW(runner_.run(command, {}), core::Error);
}

TEST_F(ProcessTest, InheritsNoEnvironmentAndNoDescriptors) {
  // Neither in a pipe, whose ends the shell may still hold, nor in the shell's place.
  Command command = shell("env | grep -v -e PWD -e SHLVL -e '^_='; ls /proc/$$/fd; true");
  command.environment = {{"GREETING", "hello there"}};
  const int leaked = ::dup(1);
  const auto result = runner_.run(command, {});
  ::close(leaked);
  EXPECT_EQ(result.output, "GREETING=hello there\n0\n1\n2\n");
}

TEST_F(ProcessTest, RunsInItsDirectory) {
  Command command = shell("pwd");
  command.directory = root_;
  EXPECT_EQ(runner_.run(command, {}).output, root_.native() + "\n");
}

TEST_F(ProcessTest, SaysWhichSignalEndedIt) {
  EXPECT_EQ(runner_.run(shell("kill -9 $$"), {}).exit_code, 128 + SIGKILL);
}

TEST_F(ProcessTest, DeadlineKillsTheWholeGroup) {
  Command command = shell(fmt::format("sleep 600 & echo $! > {}/pid; wait", root_.native()));
  command.deadline = std::chrono::seconds(1);
  try {
    runner_.run(command, {});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kTimeout) << error.what();
  }
  const auto sleeper = core::parse_int(core::trim(text_of(root_ / "pid")));
  ASSERT_TRUE(sleeper);
  EXPECT_TRUE(eventually([&] { return !identify(static_cast<pid_t>(*sleeper)); }));
}

TEST_F(ProcessTest, StopEndsIt) {
  std::stop_source stop;
  std::jthread stopper([&] {
    eventually([&] { return std::filesystem::exists(root_ / "started"); });
    stop.request_stop();
  });
  try {
    runner_.run(shell(fmt::format("touch {}/started; sleep 600", root_.native())), stop.get_token());
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kCancelled) << error.what();
  }
}

TEST_F(ProcessTest, AProgramThatIsWaitedForDiesWithTheWaitingProcess) {
  const pid_t waiting = ::fork();
  ASSERT_GE(waiting, 0);
  if (waiting == 0) {
    runner_.run(shell(fmt::format("echo $$ > {0}/new; mv {0}/new {0}/pid; exec sleep 600", root_.native())), {});
    ::_exit(0);
  }
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(root_ / "pid"); }));
  const auto sleeper = core::parse_int(core::trim(text_of(root_ / "pid")));
  ASSERT_TRUE(sleeper);
  ASSERT_TRUE(identify(static_cast<pid_t>(*sleeper)));
  ::kill(waiting, SIGKILL);
  ::waitpid(waiting, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return !identify(static_cast<pid_t>(*sleeper)); }));
}

TEST_F(ProcessTest, AGrandchildThatKeepsThePipeDoesNotHoldUsUp) {
  const auto result = runner_.run(shell("sleep 600 & echo $!"), {});
  const auto pid = core::parse_int(core::trim(result.output));
  ASSERT_TRUE(pid);
  const auto sleeper = identify(static_cast<pid_t>(*pid));
  ASSERT_TRUE(sleeper);
  EXPECT_TRUE(signal(*sleeper, SIGKILL));
}

TEST_F(ProcessTest, SaysWhyItCouldNotBeStarted) {
  for (const char* const program : {"/nonexistent/program", "no-such-program-anywhere", "/etc/passwd"}) {
    Command command;
    command.argv = {program};
    try {
      runner_.run(command, {});
      FAIL();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kProcessFailed);
      EXPECT_NE(error.message().find(program), std::string::npos) << error.what();
    }
    EXPECT_THROW(runner_.start_detached(command), core::Error);
  }
}

TEST_F(ProcessTest, RunCheckedQuotesTheOutput) {
  try {
    run_checked(runner_, shell("echo the disk is on fire >&2; exit 1"), {});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_NE(error.message().find("the disk is on fire"), std::string::npos);
  }
}

TEST_F(ProcessTest, TakesOnAnotherUserWithoutItsGroups) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  std::filesystem::permissions(root_, std::filesystem::perms::all);
  Command command = shell("id -u; id -g; id -G");
  command.identity = Identity{54321, 54322};
  EXPECT_EQ(runner_.run(command, {}).output, "54321\n54322\n54322\n");
  command.output_file = root_ / "log";
  runner_.run(command, {});
  struct stat info{};
  ASSERT_EQ(::stat((root_ / "log").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 54321U);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(text_of(root_ / "log"), "54321\n54322\n54322\n");
}

TEST_F(ProcessTest, JoinsControlGroupsOrSaysThatItCannot) {
  {
    std::ofstream(root_ / "cgroup.procs");
  }
  Command command = shell("exit 0");
  command.cgroup_procs = {root_ / "cgroup.procs"};
  EXPECT_EQ(runner_.run(command, {}).exit_code, 0);
  EXPECT_EQ(text_of(root_ / "cgroup.procs"), "0\n");
  command.cgroup_procs = {root_ / "missing"};
  EXPECT_THROW(runner_.run(command, {}), core::Error);
}

TEST_F(ProcessTest, ADetachedProgramIsNoChildOfOursAndLeadsItsGroup) {
  Command command = shell("echo up; exec sleep 600");
  command.output_file = root_ / "log";
  const ProcessId process = runner_.start_detached(command);
  EXPECT_TRUE(is_alive(process));
  EXPECT_EQ(::waitpid(process.pid, nullptr, WNOHANG), -1);
  EXPECT_EQ(::getpgid(process.pid), process.pid);
  EXPECT_EQ(::getsid(process.pid), process.pid);
  EXPECT_TRUE(eventually([&] { return text_of(root_ / "log") == "up\n"; }));
  EXPECT_FALSE(is_alive({process.pid, process.start_ticks + 1}));
  EXPECT_TRUE(signal_group(process, SIGKILL));
  EXPECT_TRUE(eventually([&] { return !is_alive(process); }));
  EXPECT_FALSE(signal(process, SIGTERM));
}

TEST_F(ProcessTest, AZombieIsDead) {
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) ::_exit(0);
  EXPECT_TRUE(eventually([&] { return !identify(pid); }));
  EXPECT_EQ(::kill(pid, 0), 0);  // It is still there, as a zombie.
  ::waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace backstay::os
