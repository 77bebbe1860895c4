#include "backup/testing/archive_fixture.h"

#include <utility>

#include "core/error.h"
#include "postgres/control_file.h"

namespace backstay::backup::testing {
namespace {

constexpr auto kDeadline = std::chrono::seconds(60);
constexpr std::string_view kManagementPassword = "for tests only";

}  // namespace

std::filesystem::path restore_helper() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "backstay-restore-wal";
}

RunningReceiver::RunningReceiver(const Environment& environment, repository::Repository& repository,
                                 WalReceiverConfig config)
    : receiver_(environment, repository, std::move(config)),
      thread_([this](std::stop_token stop) { receiver_.run(std::move(stop)); }) {}

RecoveredServer::RecoveredServer(const Environment& environment, postgres::ServerDescription description)
    : server_(std::move(description), environment.files, environment.clock) {}
RecoveredServer::~RecoveredServer() { server_.stop(postgres::StopMode::kImmediate, kDeadline, {}); }

postgres::Rows RecoveredServer::query(const std::string& sql, const std::string& database) const {
  return server_.connect(database).query(sql);
}

ArchiveFixture::ArchiveFixture()
    : key_(repository::KeyBytes::generate(random_)),
      repository_(repository::Repository::create(store_, key_, random_, clock_)) {}

std::string ArchiveFixture::add_instance(postgres::testing::TestCluster& cluster) {
  return add_instance(cluster.server());
}

std::string ArchiveFixture::add_instance(const postgres::Server& server) {
  const auto control =
      postgres::parse_control_file(files_.read_file(server.description().paths.data() / postgres::kControlFilePath));
  repository::InstanceRecord record;
  record.instance = random_.uuid();
  record.service = random_.uuid();
  record.service_name = "test";
  record.provider = "postgresql";
  record.postgres_major = static_cast<std::uint32_t>(server.description().installation.major);
  record.system_identifier = control.system_identifier;
  record.wal_segment_size = control.wal_segment_size;
  record.created = clock_.now();
  repository_->put_instance(record);
  return record.instance;
}

repository::BackupRecord ArchiveFixture::take_backup(const std::string& instance,
                                                     const postgres::ConnectionTarget& target,
                                                     const std::filesystem::path& data, WalReceiver* receiver) {
  BaseBackupRequest request{.repository = *repository_,
                            .instance = instance,
                            .backup_id = random_.uuid(),
                            .data_directory = data,
                            .connection = target};
  request.receiver = receiver;
  request.spool_directory = directory_.path() / ("spool-" + request.backup_id);
  request.wal_deadline = kDeadline;
  return take_base_backup(environment_, request, nullptr, {});
}

std::unique_ptr<RunningReceiver> ArchiveFixture::receive(const std::string& instance,
                                                         const postgres::ConnectionTarget& target) {
  WalReceiverConfig config;
  config.instance = instance;
  config.connection = target;
  config.slot = "backstay";
  config.spool_directory = directory_.path() / ("spool-" + instance);
  config.tail_interval = std::chrono::milliseconds(200);
  config.first_retry = std::chrono::milliseconds(50);
  config.longest_retry = std::chrono::milliseconds(200);
  return std::make_unique<RunningReceiver>(environment_, *repository_, config);
}

RecoverRequest ArchiveFixture::recover_request(const RecoveryPlan& plan, const std::string& name) {
  RecoverRequest request{.repository = *repository_,
                         .plan = plan,
                         .name = name,
                         .paths = {directory_.path() / name},
                         .installation = *installation_,
                         .identity = postgres::testing::test_identity(),
                         .launcher = launcher_};
  request.resources.memory_bytes = 256U << 20;
  request.restore_helper = restore_helper();
  request.management_password = core::Secret(std::string(kManagementPassword));
  request.stall_deadline = kDeadline;
  return request;
}

std::unique_ptr<RecoveredServer> ArchiveFixture::recover_to(const RecoveryPlan& plan, const std::string& name,
                                                            std::optional<postgres::HandOver> hand_over) {
  RecoverRequest request = recover_request(plan, name);
  request.hand_over = std::move(hand_over);
  recover(environment_, request, nullptr, {});
  return start_recovered(name);
}

std::unique_ptr<RecoveredServer> ArchiveFixture::start_recovered(const std::string& name) {
  const postgres::InstancePaths paths{directory_.path() / name};
  postgres::OpenServerConfig config;
  config.listen_addresses = "";
  config.resources.memory_bytes = 256U << 20;
  config.major = installation_->major;
  postgres::write_server_config(files_, paths, config, postgres::testing::test_identity());
  postgres::ServerDescription description;
  description.name = name;
  description.installation = *installation_;
  description.paths = paths;
  description.identity = postgres::testing::test_identity();
  description.management_password = core::Secret(std::string(kManagementPassword));
  auto recovered = std::make_unique<RecoveredServer>(environment_, description);
  recovered->server().wait_until_ready(recovered->server().start(launcher_), kDeadline, {});
  return recovered;
}

std::string ArchiveFixture::run_program(const std::string& program, const postgres::ConnectionTarget& target,
                                        std::vector<std::string> arguments) {
  os::Command command;
  command.argv = {installation_->program(program).string()};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.environment = {{"PGHOST", target.socket_directory.string()},
                         {"PGPORT", std::to_string(target.port)},
                         {"PGUSER", target.user},
                         {"PGPASSWORD", target.password.reveal()},
                         {"LC_ALL", "C.UTF-8"}};
  command.output_limit = 256U << 20;
  return os::run_checked(processes_, command, {}).output;
}

}  // namespace backstay::backup::testing
