#include "runtime/process_runtime.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"

namespace backstay::runtime {
namespace {

/// A fresh directory that every user can pass.
class ProcessRuntimeTest : public ::testing::Test {
 public:
  ProcessRuntimeTest() : root_("/tmp/backstay-runtime-" + random_.token(12)) {
    files_.make_directories(root_, 0711);
    files_.set_mode(root_, 0711);
  }
  ~ProcessRuntimeTest() override { files_.remove_all(root_); }
  ProcessRuntimeTest(const ProcessRuntimeTest&) = delete;
  ProcessRuntimeTest& operator=(const ProcessRuntimeTest&) = delete;

 protected:
  /// Tests run beside each other: each process has a user of its own.
  static uid_t user() { return 3'000'000 + static_cast<uid_t>(::getpid()); }

  control::InstancePlace place() const {
    const bool root = ::geteuid() == 0;
    return {"one", root ? user() : ::geteuid(), root ? user() : ::getegid(), {}};
  }

  /// A tree that looks like version 1 control groups; its files must be there, as the kernel makes them.
  void make_groups(const std::string& controller, const std::vector<std::string>& names) {
    const auto group = root_ / "cgroup" / controller / "backstay" / "one";
    files_.make_directories(group, 0755);
    for (const auto& name : names) files_.create(group / name, 0644)->close();
  }
  std::string read(const std::filesystem::path& path) { return std::string(core::as_text(files_.read_file(path))); }
  void wait_for_end(const ProcessRuntime& runtime, const control::RuntimeProcess& process) {
    core::SystemClock clock;
    for (int i = 0; i < 500 && runtime.is_alive(process); ++i) clock.wait({}, std::chrono::milliseconds(10));
    ASSERT_FALSE(runtime.is_alive(process));
  }

  core::SystemRandom random_;
  os::RealFileSystem files_;
  os::SystemProcessRunner runner_;
  std::filesystem::path root_;
};

TEST_F(ProcessRuntimeTest, MakesADirectoryThatOnlyTheInstancesGroupMayEnter) {
  ProcessRuntime runtime({root_ / "state", root_ / "cgroup"}, files_, runner_);
  const auto made = runtime.make_directory(place());
  EXPECT_EQ(made, runtime.directory("one"));
  const auto info = files_.stat(made);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->mode, ::geteuid() == 0 ? 0750u : 0700u);
  EXPECT_EQ(info->uid, ::geteuid());
  EXPECT_EQ(info->gid, place().gid);
  runtime.remove_directory("one");
  EXPECT_FALSE(files_.stat(made));
}

TEST_F(ProcessRuntimeTest, NamesTheDirectoryThatUsersCannotPass) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives instances users of their own";
  files_.make_directories(root_ / "closed", 0700);
  ProcessRuntime runtime({root_ / "closed" / "state", root_ / "cgroup"}, files_, runner_);
  try {
    runtime.make_directory(place());
    FAIL() << "the closed directory was not noticed";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConfigError);
    EXPECT_EQ(error.hint(), "run: chmod o+x '" + (root_ / "closed").string() + "'");
  }
}

TEST_F(ProcessRuntimeTest, StartsAProcessOfTheInstancesUserThatIsNotOurChild) {
  ProcessRuntime runtime({root_ / "state", root_ / "cgroup"}, files_, runner_);
  const auto made = runtime.make_directory(place());
  files_.make_directories(made / "log", 0700);
  if (::geteuid() == 0) files_.set_owner(made / "log", place().uid, place().gid);
  control::RunCommand command;
  command.argv = {"/bin/sh", "-c", "id -u; pwd; echo \"$MARK\""};
  command.environment["MARK"] = "of the test";
  command.environment["PATH"] = "/usr/bin:/bin";
  command.directory = made;
  command.output_file = made / "log" / "out";
  const auto process = runtime.start(place(), command);
  EXPECT_GT(process.pid, 0);
  wait_for_end(runtime, process);
  EXPECT_EQ(read(made / "log" / "out"), std::to_string(place().uid) + "\n" + made.string() + "\nof the test\n");
}

TEST_F(ProcessRuntimeTest, EndsWhateverRunsAsTheInstancesUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives instances users of their own";
  ProcessRuntime runtime({root_ / "state", root_ / "cgroup"}, files_, runner_);
  core::SystemClock clock;
  const control::InstancePlace instance{"one", user(), user(), {}};
  os::Command command;
  command.argv = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"};
  command.environment["PATH"] = "/usr/bin:/bin";
  command.identity = os::Identity{instance.uid, instance.gid};
  const auto left_behind = runner_.start_detached(command);
  runtime.end_processes(instance, clock, {});
  EXPECT_FALSE(os::is_alive(left_behind));
  auto nobodys = instance;
  nobodys.uid = 0;
  runtime.end_processes(nobodys, clock, {});
}

TEST_F(ProcessRuntimeTest, AnExistingDirectoryKeepsWhatItAllows) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives instances users of their own";
  files_.make_directories(root_ / "state", 0700);
  files_.set_mode(root_ / "state", 0755);
  const ProcessRuntime runtime({root_ / "state", root_ / "cgroup"}, files_, runner_);
  EXPECT_EQ(files_.stat(root_ / "state")->mode, 0755u);
}

TEST_F(ProcessRuntimeTest, WritesTheLimitsOfThePlan) {
  make_groups("cpu", {"cpu.cfs_period_us", "cpu.cfs_quota_us", "cgroup.procs"});
  make_groups("memory", {"memory.limit_in_bytes", "cgroup.procs"});
  ProcessRuntime runtime({root_ / "state", root_ / "cgroup"}, files_, runner_);
  auto limited = place();
  limited.limits = {5, 512};
  runtime.set_limits(limited);
  EXPECT_EQ(runtime.limits_problem("one"), std::nullopt);
  const auto groups = root_ / "cgroup";
  EXPECT_EQ(read(groups / "cpu/backstay/one/cpu.cfs_quota_us"), "50000");
  EXPECT_EQ(read(groups / "memory/backstay/one/memory.limit_in_bytes"), "536870912");
}

TEST_F(ProcessRuntimeTest, StartsWithoutLimitsAndSaysWhy) {
  ProcessRuntime runtime({root_ / "state", root_ / "no-cgroup"}, files_, runner_);
  runtime.make_directory(place());
  auto limited = place();
  limited.limits = {5, 512};
  control::RunCommand command;
  command.argv = {"/bin/true"};
  const auto process = runtime.start(limited, command);
  wait_for_end(runtime, process);
  ASSERT_TRUE(runtime.limits_problem("one"));
  EXPECT_NE(runtime.limits_problem("one")->find("memory"), std::string::npos);
}

TEST_F(ProcessRuntimeTest, FindsItsOwnGroupInVersionTwo) {
  const auto own = root_ / "cgroup" / "user.slice" / "backstay";
  files_.make_directories(own / "one", 0755);
  files_.create(root_ / "cgroup" / "cgroup.controllers", 0644)->close();
  for (const auto& file : {root_ / "cgroup" / "user.slice" / "cgroup.subtree_control", own / "cgroup.subtree_control",
                           own / "one" / "cpu.max", own / "one" / "memory.max"}) {
    files_.create(file, 0644)->close();
  }
  ControlGroups groups(root_ / "cgroup", "0::/user.slice\n", files_);
  const auto made = groups.make("one", {20, 64});
  EXPECT_EQ(made.problem, std::nullopt);
  ASSERT_EQ(made.procs.size(), 1u);
  EXPECT_EQ(made.procs.front(), own / "one" / "cgroup.procs");
  EXPECT_EQ(read(own / "one" / "cpu.max"), "200000 100000");
  EXPECT_EQ(read(own / "one" / "memory.max"), "67108864");
}

}  // namespace
}  // namespace backstay::runtime
