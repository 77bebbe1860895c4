#include "postgres/testing/test_cluster.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "postgres/launcher.h"

namespace backstay::postgres::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t kPort = 5432;  // names the socket only: there is no TCP
constexpr auto kStartDeadline = std::chrono::seconds(60);

/// Debian's, and those that `./dev setup test` puts beside the build.
std::vector<Installation> find_test_installations() {
  const auto build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  return find_installations(std::array{fs::path(kDebianRoot), build / "postgresql"});
}

}  // namespace

std::optional<os::Identity> test_identity() {
  if (::geteuid() != 0) return std::nullopt;
  const auto* entry = ::getpwnam("postgres");
  if (entry == nullptr) throw core::Error(core::Code::kInternal, "there is no user 'postgres'");
  return os::Identity{entry->pw_uid, entry->pw_gid};
}

const Installation& test_installation(int major) {
  static const std::vector<Installation> installations = find_test_installations();
  const auto found =
      std::ranges::find_if(installations, [&](const Installation& one) { return major == 0 || one.major == major; });
  if (found != installations.end()) return *found;
  throw core::Error(core::Code::kUnknownProvider, fmt::format("no PostgreSQL{} is installed for the tests",
                                                              major == 0 ? "" : fmt::format(" {}", major)))
      .with_hint("./dev setup run test");
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = "/tmp/backstay-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw core::system_error("cannot make a directory below /tmp", errno);
  path_ = name;
  fs::permissions(path_, fs::perms(0711));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

struct TestCluster::State {
  explicit State(TestClusterOptions wanted) : options(std::move(wanted)) {
    ServerDescription description;
    description.name = "test";
    description.installation = test_installation(options.major);
    description.paths = {directory.path() / "instance"};
    description.port = kPort;
    description.identity = test_identity();
    description.management_password = core::Secret("a test's password");
    server.emplace(std::move(description), files, clock);
  }

  void write_config() {
    const auto& paths = server->description().paths;
    OpenServerConfig config;
    config.listen_addresses = "";
    config.port = kPort;
    config.resources.memory_bytes = 128u << 20;
    config.resources.max_connections = 50;
    config.major = server->description().installation.major;
    const auto text = render_postgresql_conf(config) + "fsync = off\nautovacuum_naptime = 1d\n" + options.extra_config;
    write_server_config(files, paths, config, server->description().identity);
    write_readable_file(files, paths.config() / "postgresql.conf", text, server->description().identity);
  }

  TestClusterOptions options;
  TemporaryDirectory directory;
  os::RealFileSystem files;
  os::SystemProcessRunner runner;
  core::SystemClock clock;
  std::optional<Server> server;
};

TestCluster::TestCluster(const TestClusterOptions& options) : state_(std::make_unique<State>(options)) {
  const auto& description = state_->server->description();
  InitRequest request;
  request.installation = description.installation;
  request.paths = description.paths;
  request.identity = description.identity;
  request.management_password = description.management_password;
  request.segment_size = options.segment_size;
  request.sync = false;
  initialize_cluster(state_->runner, state_->files, request, {});
  state_->write_config();
  if (options.start) start();
}

TestCluster::~TestCluster() {
  try {
    stop(StopMode::kImmediate);
  } catch (const std::exception& e) {
    std::fputs(e.what(), stderr);
  }
}

void TestCluster::start() {
  ProcessLauncher launcher(state_->runner);
  const auto process = state_->server->start(launcher);
  state_->server->wait_until_ready(process, kStartDeadline, {});
}

void TestCluster::stop(StopMode mode) { state_->server->stop(mode, kStartDeadline, {}); }

Connection TestCluster::connect(const std::string& database) const { return Connection(target(database)); }

ConnectionTarget TestCluster::target(const std::string& database) const {
  auto target = state_->server->management_target(database);
  target.options.clear();
  return target;
}

Rows TestCluster::query(const std::string& sql) const { return connect().query(sql); }

const InstancePaths& TestCluster::paths() const { return state_->server->description().paths; }
const Installation& TestCluster::installation() const { return state_->server->description().installation; }
const std::optional<os::Identity>& TestCluster::identity() const { return state_->server->description().identity; }
Server& TestCluster::server() { return *state_->server; }

}  // namespace backstay::postgres::testing
