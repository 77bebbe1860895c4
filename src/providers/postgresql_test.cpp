// The provider with real servers: PostgreSQL must be installed, and as root each service runs under its own uid.
#include "providers/postgresql.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>

#include <gtest/gtest.h>

#include "control/testing/engine_world.h"
#include "control/testing/memory_archive_memory.h"
#include "core/error.h"
#include "os/file.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/connection.h"
#include "providers/store_gate.h"
#include "runtime/process_runtime.h"

namespace backstay::providers {
namespace {

using control::testing::EngineWorld;
using model::ServiceState;

class PostgresqlProviderTest : public ::testing::Test {
 public:
  ~PostgresqlProviderTest() override {
    end();
    for (const auto& entry : std::filesystem::directory_iterator(root_ / "state" / "instances")) {
      kill_postmaster(entry.path());
    }
    files_.remove_all(root_);
  }
  PostgresqlProviderTest(const PostgresqlProviderTest&) = delete;
  PostgresqlProviderTest& operator=(const PostgresqlProviderTest&) = delete;

 protected:
  PostgresqlProviderTest() : root_("/tmp/backstay-provider-" + random_.token(12)) {
    files_.make_directories(root_ / "store", 0711);
    files_.set_mode(root_, 0711);
    policy_.directory_roots = {root_ / "store"};
    gate_ = std::make_unique<BlobStoreGate>(policy_, blob::StoreContext{clock_, random_, &metrics_, {}}, turns_);
    begin();
  }
  /// A process of Backstay begins, or ends.
  void begin() {
    runtime_ = std::make_unique<runtime::ProcessRuntime>(runtime::ProcessRuntimeConfig{root_ / "state", root_ / "none"},
                                                         files_, runner_);
    PostgresqlConfig config;
    config.state_dir = root_ / "state";
    config.restore_helper = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "backstay-restore-wal";
    config.stores = policy_;
    std::vector<std::unique_ptr<control::Provider>> providers;
    providers.push_back(make_postgresql_provider(
        {*runtime_, files_, runner_, clock_, random_, metrics_, memory_, turns_}, std::move(config)));
    control::CommandConfig commands;
    commands.ports = {30000, 50000};
    if (::geteuid() == 0) {
      commands.first_uid = first_uid();
      commands.last_uid = first_uid() + 99;
    }
    world_ = std::make_unique<EngineWorld>(root_ / "state", std::move(providers), *gate_, commands);
  }
  void end() { world_.reset(); }
  /// Tests run beside each other, and what runs as a service's user is ended with the service.
  static std::uint32_t first_uid() { return 10'000'000 + 100 * static_cast<std::uint32_t>(::getpid()); }

  std::optional<os::ProcessId> postmaster(const std::filesystem::path& instance) {
    const auto file = instance / "data" / "postmaster.pid";
    if (!files_.stat(file)) return std::nullopt;
    return os::identify(std::stoi(std::string(core::as_text(files_.read_file(file)))));
  }
  void kill_postmaster(const std::filesystem::path& instance) {
    if (const auto process = postmaster(instance)) os::signal(*process, SIGKILL);
  }
  std::filesystem::path directory_of(const std::string& id) {
    return runtime_->directory(world_->service(id).status.instance_id);
  }

  control::CreateServiceRequest request(const std::string& name, const std::string& password) const {
    control::CreateServiceRequest wanted;
    wanted.team_id = world_->team_id;
    wanted.name = name;
    wanted.provider = {"postgresql", "15"};
    wanted.plan = {1, {{"storage", 10}}};
    wanted.config = {{"max_connections", "100"}};
    wanted.secrets = {{"password", core::Secret(password)}, {"username", core::Secret("admin")}};
    return wanted;
  }
  control::BackupsRequest backups() const {
    control::BackupsRequest wanted;
    wanted.enabled = true;
    wanted.interval_hours = 24;
    wanted.retention_days = 7;
    wanted.config = core::json::object{{"destinationPath", "file://" + (root_ / "store" / "team").string()}};
    wanted.secrets = model::Secrets{};
    return wanted;
  }
  std::string create(const control::CreateServiceRequest& wanted) {
    const auto id = world_->commands->create_service(wanted, world_->admin).service.id;
    EXPECT_TRUE(world_->wait_for(id, ServiceState::kSynchronized, std::chrono::seconds(100)));
    return id;
  }

  /// As a client does: over TCP with TLS, the server's name and authority checked.
  postgres::Connection connect(const std::string& id, const std::string& password, const std::string& user = "admin") {
    const auto details = world_->service(id).status.details;
    postgres::ConnectionTarget target;
    target.host = std::string(details.at("hostname").as_string());
    target.port = static_cast<std::uint16_t>(details.at("port").to_number<int>());
    target.user = user;
    target.password = core::Secret(password);
    target.database = "app";
    target.ssl_mode = "verify-full";
    target.ssl_root_cert = root_ / "state" / "ca" / "ca.crt";
    return postgres::Connection(target);
  }
  bool can_connect(const std::string& id, const std::string& password) {
    try {
      connect(id, password);
      return true;
    } catch (const core::Error&) {
      return false;
    }
  }
  /// Listens there, as another program would, as soon as whoever is there has ended.
  os::Descriptor listen_on(std::uint16_t port) {
    os::Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto deadline = clock_.steady_now() + std::chrono::seconds(20);
    while (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
           ::listen(listener.get(), 1) != 0) {
      if (clock_.steady_now() > deadline) throw core::system_error("cannot listen", errno);
      clock_.wait({}, std::chrono::milliseconds(10));
    }
    return listener;
  }
  std::string bodies_of(const std::string& id, std::string_view name) {
    std::string text;
    for (const auto& event : world_->queries->service(id, world_->admin).recent_events) {
      if (event.name == name) text += event.body + "\n";
    }
    return text;
  }
  std::string slots_of(const std::string& id) {
    return connect(id, "source password").query("SELECT count(*) FROM pg_replication_slots").text(0, 0);
  }
  bool has_confirmed_backup(const std::string& id) {
    const auto backups = world_->queries->backups(id, world_->admin);
    return !backups.empty() && backups.front().confirmed_at.has_value();
  }

  core::SystemRandom random_;
  core::SystemClock clock_;
  core::Metrics metrics_;
  control::testing::MemoryArchiveMemory memory_;
  os::RealFileSystem files_;
  os::SystemProcessRunner runner_;
  std::filesystem::path root_;
  blob::StorePolicy policy_;
  StoreTurns turns_{{}};
  std::unique_ptr<BlobStoreGate> gate_;
  std::unique_ptr<runtime::ProcessRuntime> runtime_;
  std::unique_ptr<EngineWorld> world_;
};

TEST_F(PostgresqlProviderTest, LivesThroughItsWholeLife) {
  const auto id = create(request("orders", "first password"));
  {
    auto client = connect(id, "first password");
    EXPECT_EQ(client.query("SHOW server_version_num").text(0, 0).substr(0, 2), "15");
    EXPECT_TRUE(client.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").truth(0, 0));
    EXPECT_EQ(client.query("SHOW max_connections").text(0, 0), "100");
    EXPECT_FALSE(client.query("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = 'admin'").truth(0, 0));
    client.execute("CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 1000)");
  }
  EXPECT_FALSE(can_connect(id, "wrong password"));
  if (::geteuid() == 0) EXPECT_GE(files_.stat(directory_of(id) / "data")->uid, first_uid());
  const std::string dsn(world_->service(id).status.details.at("dsn").as_string());
  EXPECT_EQ(dsn.find("first"), std::string::npos) << "the password is nobody else's business";

  control::UpdateServiceRequest change;
  change.secrets = model::Secrets{{"password", core::Secret("second password")}};
  change.config = core::json::object{{"max_connections", "120"}};
  world_->commands->update_service(id, change, world_->admin);
  ASSERT_TRUE(world_->wait_for(id, ServiceState::kSynchronized));
  EXPECT_FALSE(can_connect(id, "first password"));
  EXPECT_EQ(connect(id, "second password").query("SHOW max_connections").text(0, 0), "120");

  const auto before = postmaster(directory_of(id));
  ASSERT_TRUE(before);
  end();
  EXPECT_TRUE(os::is_alive(*before)) << "servers outlive Backstay";
  begin();
  EXPECT_EQ(postmaster(directory_of(id)), before) << "the running server is adopted";
  EXPECT_EQ(connect(id, "second password").query("SELECT count(*) FROM kept").text(0, 0), "1000");

  kill_postmaster(directory_of(id));
  ASSERT_TRUE(world_->wait_until(id, [&] { return world_->count_events(id, "server.restarted") == 1; }));
  ASSERT_TRUE(world_->wait_for(id, ServiceState::kSynchronized));
  EXPECT_EQ(world_->count_events(id, "server.died"), 1u);
  EXPECT_EQ(connect(id, "second password").query("SELECT count(*) FROM kept").text(0, 0), "1000");

  const auto directory = directory_of(id);
  const auto last = postmaster(directory);
  world_->commands->delete_service(id, control::FinalBackup::kSkip, world_->admin);
  ASSERT_TRUE(world_->wait_until(id, [&] { return !files_.stat(directory); }));
  EXPECT_FALSE(last && os::is_alive(*last));
}

TEST_F(PostgresqlProviderTest, APortThatIsTakenIsLeftUntilClientsKnowIt) {
  const auto id = world_->commands->create_service(request("late", "a password"), world_->admin).service.id;
  const auto first = world_->port(id);
  const auto occupant = listen_on(first);
  ASSERT_TRUE(world_->wait_for(id, ServiceState::kSynchronized, std::chrono::seconds(100)));
  const auto port = world_->port(id);
  EXPECT_NE(port, first);
  EXPECT_TRUE(can_connect(id, "a password"));
  EXPECT_EQ(world_->count_events(id, "operation.retrying"), 0u);

  end();
  for (const auto& entry : std::filesystem::directory_iterator(root_ / "state" / "instances")) {
    kill_postmaster(entry.path());
  }
  {
    const auto second = listen_on(port);
    begin();
    ASSERT_TRUE(world_->wait_until(id, [&] { return world_->count_events(id, "operation.retrying") > 0; }));
    EXPECT_NE(bodies_of(id, "operation.retrying").find("port " + std::to_string(port)), std::string::npos)
        << bodies_of(id, "operation.retrying");
  }
  ASSERT_TRUE(world_->wait_for(id, ServiceState::kSynchronized));
  EXPECT_EQ(world_->port(id), port);
  EXPECT_TRUE(can_connect(id, "a password"));
}

TEST_F(PostgresqlProviderTest, OneSessionAsksWhetherTheServerAnswers) {
  const auto id = create(request("watched", "a password"));
  auto client = connect(id, "a password");
  std::string session;
  int seen = 0;
  const auto stays = [&] {
    const auto rows = client.query("SELECT pid::text FROM pg_stat_activity WHERE usename = 'backstay' ORDER BY pid");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows.text(i, 0) == session) return ++seen >= 50;
    }
    session = rows.empty() ? "" : rows.text(0, 0);
    seen = 0;
    return false;
  };
  ASSERT_TRUE(world_->wait_until(id, stays, std::chrono::seconds(20)));
  const auto before = session;
  os::signal(*os::identify(std::stoi(session)), SIGTERM);
  ASSERT_TRUE(world_->wait_until(id, [&] { return stays() && session != before; }, std::chrono::seconds(20)));
  EXPECT_EQ(world_->count_events(id, "service.unreachable"), 0u);
  EXPECT_EQ(world_->count_events(id, "server.died"), 0u);
}

TEST_F(PostgresqlProviderTest, AFullStorageLetsNewSessionsOnlyReadUntilItFits) {
  auto wanted = request("small", "a password");
  wanted.provider = {"postgres", "v1"};
  wanted.plan = {0, {{"storage", 512}}};
  wanted.config = {{"userName", "admin"}};
  wanted.secrets = {{"userPassword", core::Secret("a password")}};
  const auto id = create(wanted);
  const auto is_read_only = [&] {
    return connect(id, "a password").query("SHOW default_transaction_read_only").text(0, 0) == "on";
  };
  const auto told = [&](const std::string& event) {
    return [&, event] { return world_->count_events(id, event) == 1; };
  };
  const auto fill = [](int mebibytes) {
    return fmt::format("INSERT INTO filler SELECT repeat('x', 7900) FROM generate_series(1, {})", mebibytes * 128);
  };
  auto client = connect(id, "a password");
  client.execute("CREATE UNLOGGED TABLE filler (content text); ALTER TABLE filler ALTER content SET STORAGE PLAIN;" +
                 fill(445));
  ASSERT_TRUE(world_->wait_until(id, told("storage.high")));
  EXPECT_FALSE(is_read_only());
  client.execute(fill(60));
  ASSERT_TRUE(world_->wait_until(id, told("storage.full")));
  EXPECT_TRUE(is_read_only());
  client.execute("SET default_transaction_read_only = off");
  client.execute("TRUNCATE filler");
  ASSERT_TRUE(world_->wait_until(id, told("storage.fits")));
  EXPECT_FALSE(is_read_only());
  EXPECT_EQ(world_->count_events(id, "storage.high"), 1u);
}

TEST_F(PostgresqlProviderTest, WalThatDoesNotReachItsStoreIsTold) {
  auto wanted = request("behind", "source password");
  wanted.backups = backups();
  const auto id = create(wanted);
  ASSERT_TRUE(world_->wait_until(id, [&] { return has_confirmed_backup(id); }, std::chrono::seconds(100)));
  const auto told = [&](const std::string& event) {
    return [&, event] { return world_->count_events(id, event) >= 1; };
  };
  std::filesystem::rename(root_ / "store", root_ / "away");
  connect(id, "source password").execute("CREATE TABLE late (n int); INSERT INTO late VALUES (1)");
  EXPECT_TRUE(world_->wait_until(id, told("wal.behind")));
  EXPECT_TRUE(world_->wait_until(id, told("store.unreachable")));
  EXPECT_EQ(world_->count_events(id, "wal.caught_up"), 0u);
  std::filesystem::rename(root_ / "away", root_ / "store");
  EXPECT_TRUE(world_->wait_until(id, told("wal.caught_up")));
  EXPECT_TRUE(world_->wait_until(id, told("store.reachable")));
}

TEST_F(PostgresqlProviderTest, LostWalIsToldAndANewBackupOpensTheWindowAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a superuser of its own";
  auto wanted = request("gap", "source password");
  wanted.backups = backups();
  wanted.secrets["superuserPassword"] = core::Secret("over all");
  const auto id = create(wanted);
  ASSERT_TRUE(world_->wait_until(id, [&] { return has_confirmed_backup(id); }, std::chrono::seconds(100)));
  auto superuser = connect(id, "over all", "postgres");
  end();
  superuser.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
  for (int i = 0; i < 3; ++i)
    superuser.execute("CREATE TABLE IF NOT EXISTS t (n int); SELECT pg_switch_wal(); CHECKPOINT");
  begin();
  EXPECT_TRUE(world_->wait_until(id, [&] { return world_->count_events(id, "wal.gap") == 1; }));
  EXPECT_TRUE(world_->wait_until(id, [&] { return world_->queries->backups(id, world_->admin).size() == 2; }));
  EXPECT_TRUE(world_->wait_until(id, [&] { return has_confirmed_backup(id); }, std::chrono::seconds(100)));
}

TEST_F(PostgresqlProviderTest, ALostTableComesBackInANewServiceWithOtherCredentials) {
  auto wanted = request("source", "source password");
  wanted.backups = backups();
  const auto id = create(wanted);
  ASSERT_TRUE(world_->wait_until(id, [&] { return has_confirmed_backup(id); }, std::chrono::seconds(100)));
  auto client = connect(id, "source password");
  client.execute("CREATE TABLE orders (n int); INSERT INTO orders SELECT generate_series(1, 5000)");
  const auto then = core::parse_time(
      client.query("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')")
          .text(0, 0) +
      ":00");
  client.execute("DROP TABLE orders; CREATE TABLE after_the_loss (n int)");

  auto recovery = request("recovered", "other password");
  recovery.recover_from.emplace();
  recovery.recover_from->service_id = id;
  recovery.recover_from->time = then;
  const auto recovered = create(recovery);
  auto other = connect(recovered, "other password");
  EXPECT_EQ(other.query("SELECT count(*) FROM orders").text(0, 0), "5000");
  EXPECT_FALSE(other.query("SELECT to_regclass('after_the_loss') IS NOT NULL").truth(0, 0));
  EXPECT_TRUE(client.query("SELECT to_regclass('orders') IS NULL").truth(0, 0)) << "the source is untouched";
  EXPECT_FALSE(can_connect(recovered, "source password"));

  const auto window = model::union_of(world_->queries->recovery_windows(id, world_->admin));
  ASSERT_TRUE(window.earliest && window.latest);
  recovery.name = "too early";
  recovery.recover_from->time = *window.earliest - std::chrono::hours(1);
  try {
    world_->commands->create_service(recovery, world_->admin);
    FAIL() << "a time before the first backup was accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kRecoveryOutOfReach);
  }

  EXPECT_EQ(slots_of(id), "1");
  control::UpdateServiceRequest off;
  off.backups.emplace();
  off.backups->enabled = false;
  world_->commands->update_service(id, off, world_->admin);
  ASSERT_TRUE(world_->wait_for(id, ServiceState::kSynchronized));
  EXPECT_EQ(slots_of(id), "0") << "a slot that nobody reads keeps WAL for ever";
  world_->commands->delete_service(id, control::FinalBackup::kSkip, world_->admin);
  ASSERT_TRUE(world_->wait_until(id, [&] { return world_->service(id).status.state == ServiceState::kDeleted; }));
  recovery.name = "from the deleted";
  recovery.recover_from->time = then;
  EXPECT_EQ(connect(create(recovery), "other password").query("SELECT count(*) FROM orders").text(0, 0), "5000");
}

TEST_F(PostgresqlProviderTest, ALeftoverThatCannotBeClearedKeepsNothingFromStarting) {
  end();
  const auto copies = root_ / "state" / "verification";
  files_.make_directories(root_ / "state" / "instances", 0711);
  files_.make_directories(copies / "left" / "copies", 0711);
  files_.make_directories(copies / "stuck" / "lock", 0711);
  begin();
  end();
  EXPECT_FALSE(files_.stat(copies / "left"));
  EXPECT_TRUE(files_.stat(copies / "stuck"));
}

}  // namespace
}  // namespace backstay::providers
