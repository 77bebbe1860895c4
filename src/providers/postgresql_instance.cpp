#include "providers/postgresql_instance.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "backup/cluster_copy.h"
#include "backup/wal_receiver.h"
#include "core/error.h"
#include "core/text.h"
#include "os/file.h"
#include "postgres/settings.h"

namespace backstay::providers {
namespace {

/// Crash recovery of a large server takes its time; the operation can be seen and the wait ends with the process.
constexpr auto kReadyDeadline = std::chrono::minutes(30);

std::int64_t resource(const model::Service& service, const std::string& name, std::int64_t otherwise) {
  const auto found = service.plan.resources.find(name);
  return found == service.plan.resources.end() ? otherwise : found->second;
}

std::uint64_t count_segments(os::FileSystem& files, const std::filesystem::path& directory) {
  constexpr std::size_t kNameLength = 24;
  const auto entries = files.list(directory);
  return static_cast<std::uint64_t>(std::ranges::count_if(entries, [](const os::DirEntry& entry) {
    return entry.type == os::FileType::kFile && entry.name.size() == kNameLength;
  }));
}

}  // namespace

std::optional<os::Identity> identity_of(const model::Instance& instance) {
  if (instance.uid == 0) return std::nullopt;
  return os::Identity{instance.uid, instance.uid};
}

int PostgresqlWorld::major_of(const model::Service& service) const {
  return static_cast<int>(*core::parse_int(model::engine_major(offer_of(service), service.config, versions)));
}

PostgresqlInstance::PostgresqlInstance(const PostgresqlWorld& world, const control::ServiceBody& body)
    : world_(world),
      body_(body),
      wishes_(model::postgres_wishes(world.offer_of(body.service), body.service.config, body.service.secrets)),
      identity_(identity_of(body.instance)),
      installation_(postgres::installation_of(world.installations, body.instance.engine_major != 0
                                                                       ? body.instance.engine_major
                                                                       : world.major_of(body.service))),
      paths_{world.deps.runtime.directory(body.instance.id)},
      server_({.name = body.instance.id,
               .installation = installation_,
               .paths = paths_,
               .port = body.instance.port,
               .identity = identity_,
               .management_password = body.instance_secret,
               .hints = {}},
              world.deps.files, world.deps.clock) {}

control::InstancePlace PostgresqlInstance::place() const {
  control::InstancePlace place;
  place.instance_id = body_.instance.id;
  if (identity_) {
    place.uid = identity_->uid;
    place.gid = identity_->gid;
  }
  place.limits = {resource(body_.service, "cpu", 0), resource(body_.service, "memory", 0)};
  return place;
}

postgres::ServerResources PostgresqlInstance::resources() const {
  postgres::ServerResources resources;
  resources.memory_bytes = static_cast<std::uint64_t>(resource(body_.service, "memory", 512)) << 20;
  resources.max_connections = static_cast<int>(resource(body_.service, "connections", 100));
  resources.cpus = static_cast<double>(resource(body_.service, "cpu", 10)) / 10;
  return resources;
}

postgres::Access PostgresqlInstance::access() const {
  postgres::Access access{wishes_.user, wishes_.user_password, wishes_.database, std::nullopt};
  // A true superuser can become the server's user: only where that user is the service's own.
  if (identity_ && !wishes_.superuser_password.empty()) access.superuser_password = wishes_.superuser_password;
  return access;
}

std::uint64_t PostgresqlInstance::kept_wal_limit(std::uint64_t segment_size) const {
  auto& files = world_.deps.files;
  std::uint64_t segments = 0;
  unsigned services = 0;
  const auto all = paths_.root.parent_path();
  for (const auto& entry : files.list(all)) {
    const auto wal = postgres::InstancePaths{all / entry.name}.data() / "pg_wal";
    if (!files.stat(wal)) continue;
    ++services;
    segments += count_segments(files, wal);
  }
  return backup::max_slot_wal_keep_mib(files.free_space(paths_.root), segments * segment_size, segment_size,
                                       std::max(services, 1U))
         << 20;
}

std::string PostgresqlInstance::slot() const {
  std::string name = "backstay_" + body_.instance.id;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

void PostgresqlInstance::prepare() {
  world_.deps.runtime.make_directory(place());
  postgres::prepare_directories(world_.deps.files, paths_, identity_);
  std::vector<std::string> names{world_.config.service_address};
  for (const std::string name : {"localhost", "127.0.0.1"}) {
    if (name != names.front()) names.push_back(name);
  }
  world_.certificates.ensure(paths_, identity_, names);
}

void PostgresqlInstance::write_config(ConfigChoice choice) {
  const auto control =
      postgres::parse_control_file(backup::read_control_file(world_.deps.clock, paths_.data(), std::stop_token()));
  postgres::OpenServerConfig config;
  if (choice.closed)
    config.listen_addresses.clear();
  else
    config.listen_addresses = world_.config.service_address;
  config.port = body_.instance.port;
  config.tls = postgres::TlsFiles{std::filesystem::path("../tls") / kCertificateFile,
                                  std::filesystem::path("../tls") / kKeyFile};
  config.resources = resources();
  config.max_slot_wal_keep_bytes = kept_wal_limit(control.wal_segment_size);
  config.summarize_wal = choice.summarize_wal;
  config.user = postgres::validate_settings(wishes_.settings);
  config.major = installation_.major;
  config.read_only = body_.read_only;
  postgres::write_server_config(world_.deps.files, paths_, config, identity_);
}

void PostgresqlInstance::run(std::stop_token stop) {
  write_config();
  auto launcher = this->launcher();
  try {
    const auto process = server_.start(launcher);
    server_.wait_until_ready(process, kReadyDeadline, stop);
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kDatabaseUnavailable || !port_taken()) throw;
    throw core::Error(error.code(), fmt::format("another program listens on port {}, which the service '{}' needs",
                                                body_.instance.port, body_.service.name))
        .with_hint("find it (ss -ltnp) and stop it; the service keeps the port, which its clients know");
  }
}

void PostgresqlInstance::run_closed(std::stop_token stop) {
  write_config({.closed = true});
  auto launcher = this->launcher();
  const auto process = server_.start(launcher);
  server_.wait_until_ready(process, kReadyDeadline, std::move(stop));
}

bool PostgresqlInstance::port_taken() const { return !server_.find() && !can_listen(body_.instance.port); }

void PostgresqlInstance::grant_access(std::stop_token stop) {
  postgres::ensure_access([&](const std::string& database) { return server_.connect(database, stop); }, access());
}

bool can_listen(std::uint16_t port) {
  const os::Descriptor probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) throw core::system_error("cannot make a socket", errno);
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  // Any address: a server on one of the machine's other addresses would be in the way of nobody but people.
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  return ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

model::Instance PostgresqlInstance::described(std::stop_token stop) {
  auto instance = body_.instance;
  auto connection = server_.connect("postgres", stop);
  const auto rows = connection.query(
      "SELECT s.system_identifier::text, c.timeline_id FROM pg_control_system() s, pg_control_checkpoint() c");
  instance.engine_major = installation_.major;
  // The server shows it as a signed number.
  instance.system_id = static_cast<std::uint64_t>(rows.integer(0, 0));
  instance.timeline = static_cast<std::uint32_t>(rows.integer(0, 1));
  return instance;
}

}  // namespace backstay::providers
