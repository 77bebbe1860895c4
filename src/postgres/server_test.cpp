// Making, starting, finding, stopping real servers; also under a user that the passwd database does not know.
#include "postgres/server.h"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "os/process.h"
#include "postgres/control_file.h"
#include "postgres/launcher.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using core::Code;
using testing::TemporaryDirectory;
using testing::TestCluster;

constexpr auto kDeadline = std::chrono::seconds(60);

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    description_.name = "one";
    description_.installation = testing::test_installation();
    description_.paths = {directory_.path() / "one"};
    description_.identity = testing::test_identity();
    description_.management_password = core::Secret("management");
  }
  ~ServerTest() override { server().stop(StopMode::kImmediate, kDeadline, {}); }

  Server server() { return {description_, files_, clock_}; }
  void initialize() {
    InitRequest request{description_.installation,        description_.paths,  description_.identity,
                        description_.management_password, kDefaultSegmentSize, false};
    initialize_cluster(runner_, files_, request, {});
  }
  os::ProcessId start(const OpenServerConfig& config) {
    write_server_config(files_, description_.paths, config, description_.identity);
    auto one = server();
    const auto process = one.start(launcher_);
    one.wait_until_ready(process, kDeadline, {});
    return process;
  }
  static OpenServerConfig config() {
    OpenServerConfig config;
    config.listen_addresses = "";
    config.resources.memory_bytes = 128u << 20;
    return config;
  }

  TemporaryDirectory directory_;
  os::RealFileSystem files_;
  os::SystemProcessRunner runner_;
  core::SystemClock clock_;
  ProcessLauncher launcher_{runner_};
  ServerDescription description_;
};

TEST_F(ServerTest, RunsUnderAUserWithoutAName) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  description_.identity = os::Identity{71234, 71234};
  initialize();
  EXPECT_FALSE(fs::exists(directory_.path() / ".one.initdb"));
  const auto process = start(config());
  const auto info = files_.stat("/proc/" + std::to_string(process.pid));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->uid, 71234u);
  auto connection = server().connect();
  EXPECT_EQ(connection.query("SHOW data_checksums").text(0, 0), "on");
  EXPECT_EQ(connection.query("SHOW server_encoding").text(0, 0), "UTF8");
  EXPECT_EQ(connection.query("SELECT datcollate FROM pg_database WHERE datname = 'postgres'").text(0, 0), "C.UTF-8");
  EXPECT_EQ(connection.query("SELECT current_user").text(0, 0), kManagementRole);
  EXPECT_EQ(files_.stat(description_.paths.data())->uid, 71234u);
  EXPECT_EQ(files_.stat(description_.paths.data())->mode, 0700u);
  // What only we write is not the tenant's.
  EXPECT_EQ(files_.stat(description_.paths.config())->uid, 0u);
  EXPECT_EQ(files_.stat(description_.paths.root)->uid, 0u);
}

TEST_F(ServerTest, KeepsAFinishedClusterAndReplacesAHalfMadeOne) {
  fs::create_directories(directory_.path() / ".one.initdb" / "data" / "base");
  initialize();
  const auto control = [&] {
    return parse_control_file(files_.read_file(description_.paths.data() / kControlFilePath));
  };
  const auto identifier = control().system_identifier;
  initialize();
  EXPECT_EQ(control().system_identifier, identifier);
}

TEST_F(ServerTest, FindsItsServerAgain) {
  initialize();
  EXPECT_FALSE(server().find());
  const auto process = start(config());
  EXPECT_EQ(server().find(), process);
  EXPECT_EQ(server().start(launcher_), process);

  os::signal(process, SIGKILL);
  while (os::is_alive(process)) clock_.wait({}, std::chrono::milliseconds(1));
  EXPECT_FALSE(server().find());
  EXPECT_TRUE(fs::exists(description_.paths.data() / "postmaster.pid"));
}

TEST_F(ServerTest, IsNotFooledByAReusedNumber) {
  initialize();
  write_server_config(files_, description_.paths, config(), description_.identity);
  // A file left behind, whose number now belongs to a process of the same user.
  os::Command stranger;
  stranger.argv = {"/bin/sleep", "60"};
  stranger.identity = description_.identity;
  const auto other = runner_.start_detached(stranger);
  const auto file = description_.paths.data() / "postmaster.pid";
  const auto text = std::to_string(other.pid) + "\n" + description_.paths.data().string() +
                    "\n1\n5432\n../socket\n\n  1 1\nready   \n";
  files_.write_file_durably(file, core::as_bytes(text), 0600);
  give_to(files_, file, description_.identity);
  EXPECT_FALSE(server().find());
  auto one = server();
  const auto process = one.start(launcher_);
  one.wait_until_ready(process, kDeadline, {});
  EXPECT_NE(process.pid, other.pid);
  one.stop(StopMode::kFast, kDeadline, {});
  EXPECT_TRUE(os::is_alive(other));
  os::signal(other, SIGKILL);
}

TEST_F(ServerTest, StopsAndStartsAgain) {
  initialize();
  const auto first = start(config());
  auto one = server();
  one.stop(StopMode::kFast, kDeadline, {});
  EXPECT_FALSE(os::is_alive(first));
  EXPECT_EQ(parse_control_file(files_.read_file(description_.paths.data() / kControlFilePath)).state,
            ClusterState::kShutDown);
  one.stop(StopMode::kFast, kDeadline, {});
  EXPECT_THROW(one.reload(), core::Error);
  EXPECT_FALSE(start(config()) == first);
}

TEST_F(ServerTest, SaysWhyAServerDoesNotStart) {
  initialize();
  auto broken = config();
  broken.user["work_mem"] = "much";
  try {
    start(broken);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), Code::kDatabaseUnavailable);
    EXPECT_NE(e.message().find("work_mem"), std::string::npos) << e.what();
  }
}

TEST_F(ServerTest, TakesSettingsOnReload) {
  initialize();
  start(config());
  auto changed = config();
  changed.user = validate_settings(core::parse_json(R"({"work_mem": "7MB", "timezone": "Europe/Berlin"})").as_object());
  changed.read_only = true;
  write_server_config(files_, description_.paths, changed, description_.identity);
  server().reload();
  const auto shown = [&](const std::string& name) {
    auto target = server().management_target();
    target.options.clear();
    return Connection(target).query("SHOW " + name).text(0, 0);
  };
  const auto end = clock_.steady_now() + kDeadline;
  while (shown("work_mem") != "7MB" && clock_.steady_now() < end) {
  }
  EXPECT_EQ(shown("work_mem"), "7MB");
  EXPECT_EQ(shown("timezone"), "Europe/Berlin");
  EXPECT_EQ(shown("default_transaction_read_only"), "on");
  server().connect().execute("CREATE TABLE public.management_may_write (a int)");
}

TEST_F(ServerTest, OverridesAlterSystem) {
  initialize();
  start(config());
  server().connect().query("ALTER SYSTEM SET archive_command = 'touch /tmp/never'");
  server().connect().query("ALTER SYSTEM SET work_mem = '9MB'");
  server().stop(StopMode::kFast, kDeadline, {});
  start(config());
  EXPECT_NE(server().connect().query("SHOW work_mem").text(0, 0), "9MB");
}

TEST_F(ServerTest, KeepsStrangersOut) {
  initialize();
  start(config());
  auto target = server().management_target();
  target.password = core::Secret("wrong");
  EXPECT_THROW(Connection{target}, core::Error);
  EXPECT_EQ(files_.stat(description_.paths.socket())->mode, 0700u);
  EXPECT_EQ(server().connect().query("SHOW listen_addresses").text(0, 0), "");
}

}  // namespace
}  // namespace backstay::postgres
