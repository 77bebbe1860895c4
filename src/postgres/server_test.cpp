// Making, starting, finding, stopping real servers; also under a user that the passwd database does not know.
#include "postgres/server.h"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/certificates.h"

#include "core/error.h"
#include "os/file.h"
#include "os/process.h"
#include "postgres/control_file.h"
#include "postgres/launcher.h"
#include "postgres/replication_connection.h"
#include "postgres/roles.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using core::Code;
using testing::TemporaryDirectory;

constexpr auto kDeadline = std::chrono::seconds(60);

class ServerTest : public ::testing::Test {
 public:
  ServerTest() {
    description_.name = "one";
    description_.installation = testing::test_installation();
    description_.paths = {directory_.path() / "one"};
    description_.identity = testing::test_identity();
    description_.management_password = core::Secret("management");
  }
  ~ServerTest() override { server().stop(StopMode::kImmediate, kDeadline, {}); }

 protected:
  Server server() { return {description_, files_, clock_}; }
  void initialize() {
    InitRequest request{description_.installation,
                        description_.paths,
                        description_.identity,
                        description_.management_password,
                        "third",
                        kDefaultSegmentSize,
                        false};
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
  const auto staging_of = [&](const std::string& attempt) { return directory_.path() / (".one.initdb." + attempt); };
  for (const std::string attempt : {"first", "second"}) fs::create_directories(staging_of(attempt) / "data" / "base");
  const auto of_another = directory_.path() / ".one-more.initdb.first";
  fs::create_directories(of_another);
  initialize();
  EXPECT_FALSE(fs::exists(staging_of("first")) || fs::exists(staging_of("second")));
  EXPECT_TRUE(fs::exists(of_another));
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

TEST_F(ServerTest, StopsAServerThatNoFileNames) {
  initialize();
  const auto process = start(config());
  files_.remove(description_.paths.data() / "postmaster.pid");
  EXPECT_FALSE(server().find());
  EXPECT_THROW(server().start(launcher_), core::Error) << "there would be two";
  server().stop(StopMode::kFast, kDeadline, {});
  EXPECT_FALSE(os::is_alive(process));
}

TEST_F(ServerTest, StopsAServerThatHasJustStarted) {
  initialize();
  write_server_config(files_, description_.paths, config(), description_.identity);
  for (int i = 0; i < 5; ++i) {
    const auto process = server().start(launcher_);
    server().stop(StopMode::kImmediate, kDeadline, {});
    EXPECT_FALSE(os::is_alive(process));
  }
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

TEST_F(ServerTest, SaysOnlyWhatItsLastStartWrote) {
  initialize();
  auto broken = config();
  broken.user["work_mem"] = "much";
  EXPECT_THROW(start(broken), core::Error);
  start(config());
  const auto tail = server().log_tail(1000);
  EXPECT_EQ(tail.find("work_mem"), std::string::npos) << tail;
  EXPECT_NE(tail.find("ready to accept connections"), std::string::npos) << tail;
  EXPECT_LE(std::count(tail.begin(), tail.end(), '\n'), 20);
  const auto brief = server().log_tail();
  EXPECT_LE(std::count(brief.begin(), brief.end(), '\n'), 5);
}

TEST_F(ServerTest, BoundsItsLogAndKeepsTheEnd) {
  initialize();
  start(config());
  const auto log = description_.paths.log_file();
  server().connect().execute("DO $$ BEGIN FOR i IN 1..40 LOOP RAISE LOG '%', repeat('x', 100000); END LOOP; END $$");
  server().connect().execute("DO $$ BEGIN RAISE LOG 'the end'; END $$");
  server().bound_log(16 << 20);
  EXPECT_GT(files_.stat(log)->size, 4000000U);
  server().bound_log(3 << 20);
  EXPECT_EQ(files_.stat(log)->size, 0U);
  const auto before = files_.read_file(log.string() + ".before");
  EXPECT_LE(before.size(), std::size_t{1} << 20);
  EXPECT_NE(core::as_text(before).find("the end"), std::string::npos);
  server().connect().execute("DO $$ BEGIN RAISE LOG 'goes on'; END $$");
  EXPECT_LT(files_.stat(log)->size, 10000U) << "it is written at its new end";
  EXPECT_NE(server().log_tail().find("goes on"), std::string::npos);
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

/// A port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port() {
  const os::Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

TEST_F(ServerTest, LetsClientsInOverTlsAndManagementOverTheSocketOnly) {
  initialize();
  core::SystemRandom random;
  const auto authority = codec::make_certificate_authority("test", clock_.now(), random);
  const auto certificate = codec::issue_server_certificate(authority, {"localhost", "127.0.0.1"}, clock_.now(),
                                                           std::chrono::hours(1), random);
  const auto& paths = description_.paths;
  write_readable_file(files_, paths.tls() / "server.crt", certificate.certificate_pem, description_.identity);
  write_readable_file(files_, paths.tls() / "server.key", certificate.key_pem.reveal(), description_.identity);
  const auto authority_file = directory_.path() / "ca.crt";
  files_.write_file_durably(authority_file, core::as_bytes(authority.certificate_pem), 0644);
  auto open = config();
  open.listen_addresses = "127.0.0.1";
  open.port = free_port();
  open.tls = TlsFiles{"../tls/server.crt", "../tls/server.key"};
  description_.port = open.port;
  start(open);
  ensure_access([&](const std::string& database) { return server().connect(database); },
                {"app", core::Secret("app's"), "data", std::nullopt});

  ConnectionTarget target;
  target.host = "127.0.0.1";
  target.port = open.port;
  target.user = "app";
  target.password = core::Secret("app's");
  target.database = "data";
  target.ssl_mode = "verify-full";
  target.ssl_root_cert = authority_file;
  EXPECT_EQ(Connection(target).query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").text(0, 0), "t");
  const auto refused = [](const ConnectionTarget& wrong) {
    try {
      Connection{wrong};
    } catch (const core::Error& e) {
      return e.code() == Code::kDatabaseError;
    }
    return false;
  };
  auto plain = target;
  plain.ssl_mode = "disable";
  EXPECT_TRUE(refused(plain));
  auto management = target;
  management.user = kManagementRole;
  management.password = description_.management_password;
  EXPECT_TRUE(refused(management));
  auto by_socket = server().management_target("data");
  by_socket.user = "app";
  by_socket.password = target.password;
  EXPECT_TRUE(refused(by_socket));
  auto wrong = server().management_target();
  wrong.password = core::Secret("wrong");
  EXPECT_TRUE(refused(wrong));
  EXPECT_THROW(ReplicationConnection{target}, core::Error);
  EXPECT_EQ(files_.stat(paths.socket())->mode, 0700u);
}

TEST_F(ServerTest, LetsNobodyIntoARecoveringServer) {
  initialize();
  start(config());
  server().stop(StopMode::kFast, kDeadline, {});
  ClosedServerConfig closed;
  closed.resources.memory_bytes = 128u << 20;
  closed.limits = parse_control_file(files_.read_file(description_.paths.data() / kControlFilePath)).limits;
  closed.target.timeline = {1};
  closed.restore_helper = fs::read_symlink("/proc/self/exe").parent_path() / "backstay-restore-wal";
  write_server_config(files_, description_.paths, closed, description_.identity);
  auto one = server();
  // Nobody answers the helper: the recovery must stop and not promote.
  const auto process = one.start(launcher_);
  try {
    one.wait_until_ready(process, kDeadline, {});
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), Code::kDatabaseUnavailable);
    EXPECT_NE(e.message().find("backstay-restore-wal: cannot connect to '../recovery/fetch.sock'"), std::string::npos)
        << e.what();
  }
  EXPECT_TRUE(fs::exists(description_.paths.data() / "recovery.signal"));
  EXPECT_EQ(parse_control_file(files_.read_file(description_.paths.data() / kControlFilePath)).checkpoint_timeline,
            (TimelineId{1}));
}

}  // namespace
}  // namespace backstay::postgres
