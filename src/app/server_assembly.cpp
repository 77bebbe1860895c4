#include "app/server_assembly.h"

#include <algorithm>
#include <atomic>

#include <fmt/format.h>
#include <unistd.h>

#include "api/adapter/adapter_routes.h"
#include "api/authentication.h"
#include "api/cloudheed/routes.h"
#include "api/dialects.h"
#include "api/event_streams.h"
#include "api/guidewire/guidewire_routes.h"
#include "api/house/routes.h"
#include "api/import_request.h"
#include "api/lnchr/routes.h"
#include "api/rate_limits.h"
#include "app/master_key.h"
#include "app/services_directory.h"
#include "app/state_directory.h"
#include "control/accounts.h"
#include "control/archive_memory.h"
#include "control/engine.h"
#include "control/import_commands.h"
#include "control/provider_commands.h"
#include "control/queries.h"
#include "control/service_commands.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/text.h"
#include "http/server.h"
#include "notify/webhook_sender.h"
#include "os/process.h"
#include "providers/import_places.h"
#include "providers/postgresql.h"
#include "providers/rest_provider.h"
#include "providers/store_gate.h"
#include "runtime/process_runtime.h"

namespace backstay::app {
namespace {

using core::Code;
using core::Error;

constexpr auto kStopGrace = std::chrono::seconds(10);

blob::StorePolicy store_policy(const Configuration& configuration) {
  blob::StorePolicy policy;
  for (const std::string& root : configuration.stores_directory_roots) policy.directory_roots.emplace_back(root);
  policy.egress.allow_loopback = configuration.stores_allow_loopback;
  policy.egress.allow_private = configuration.stores_allow_private_networks;
  policy.ca_file = configuration.stores_ca_file;
  return policy;
}

/// Backends of published providers are reached by the rules for stores.
http::ClientConfig backend_client_config(const Configuration& configuration) {
  http::ClientConfig config;
  config.egress = store_policy(configuration).egress;
  config.ca_file = configuration.stores_ca_file;
  config.connect_timeout = std::chrono::seconds(5);
  return config;
}

/// Our own default is made. What the operator named is not: an absent one may be a disk that is not mounted.
void prepare_directory_roots(const Configuration& configuration, os::FileSystem& files) {
  for (const std::string& root : configuration.stores_directory_roots) {
    if (files.stat(root)) continue;
    if (root == default_directory_root(configuration)) {
      files.make_directories(root, 0700);
    } else {
      core::log_warning("stores.root_missing", "an allowed root for directory stores does not exist", {{"root", root}});
    }
  }
}

std::filesystem::path restore_helper(const Configuration& configuration, os::FileSystem& files) {
  const std::filesystem::path helper = configuration.postgres_restore_helper_file.empty()
                                           ? files.read_link("/proc/self/exe").parent_path() / "backstay-restore-wal"
                                           : std::filesystem::path(configuration.postgres_restore_helper_file);
  if (!files.stat(helper)) {
    throw Error(Code::kConfigError, fmt::format("the program '{}' is missing; recoveries need it", helper.string()))
        .with_hint("install it beside backstay, or name it with postgres.restore_helper_file");
  }
  return helper;
}

/// The first line of the file that the operator named.
core::Secret state_password(const Configuration& configuration, os::FileSystem& files) {
  const std::filesystem::path file = configuration.server_state_password_file;
  if (file.empty()) return {};
  if (const auto found = files.stat(file); found && (found->mode & 0077U) != 0) {
    throw Error(Code::kConfigError, fmt::format("the password file '{}' can be read by others", file.string()))
        .with_hint(fmt::format("chmod 600 {}", file.string()));
  }
  const core::Bytes content = files.read_file(file);
  return core::Secret(std::string(core::trim(core::as_text(content))));
}

metadata::DatabaseConfig database_config(const Configuration& configuration, const Environment& environment,
                                         const StateDirectory& state, os::FileSystem& files, core::Random& random) {
  const auto key_file = master_key_file(configuration, environment, files);
  const bool state_exists = files.stat(state.database_file()).has_value();
  return {.file = state.database_file(),
          .url = configuration.server_state,
          .password = state_password(configuration, files),
          .key = load_master_key(key_file, state_exists, files, random)};
}

control::PortRange ports(const Configuration& configuration) {
  return {static_cast<std::uint16_t>(configuration.postgres_first_port),
          static_cast<std::uint16_t>(configuration.postgres_last_port)};
}

control::CommandConfig command_config(const Configuration& configuration) {
  control::CommandConfig config;
  config.rollback_grace = std::chrono::hours(configuration.control_rollback_grace_hours);
  config.most_temporary_days = configuration.guidewire_max_retention_days;
  config.ports = ports(configuration);
  if (::geteuid() == 0) {
    config.first_uid = static_cast<std::uint32_t>(configuration.postgres_first_uid);
    config.last_uid = static_cast<std::uint32_t>(configuration.postgres_last_uid);
  }
  return config;
}

http::ServerConfig http_config(const Configuration& configuration) {
  http::ServerConfig config;
  config.listen = http::parse_listen_address(configuration.server_listen);
  const bool loopback = config.listen.host.starts_with("127.") || config.listen.host == "::1";
  if (!loopback && configuration.server_tls_certificate_file.empty()) {
    core::log_warning("server.clear_text", "tokens cross the network in clear text; give a certificate and its key",
                      {{"listen", configuration.server_listen}});
  }
  if (!configuration.server_tls_certificate_file.empty()) {
    config.tls = http::TlsFiles{.certificate = configuration.server_tls_certificate_file,
                                .key = configuration.server_tls_key_file};
  }
  config.workers = static_cast<unsigned>(configuration.server_worker_threads);
  // Whoever watches the server learns how it is, whatever tenants do.
  config.reserved_paths = {"/health", "/ready", "/metrics"};
  config.body_limit = static_cast<std::size_t>(configuration.server_max_body_bytes);
  return config;
}

/// Three quarters of the workers may wait for stores, and a quarter for those of one team; the last half of the turns
/// is for teams that hold none, so that a few whose stores are silent do not take them from everybody.
providers::StoreTurns::Limits store_turns(const Configuration& configuration) {
  const auto workers = static_cast<std::size_t>(configuration.server_worker_threads);
  const auto of_all = std::max<std::size_t>(1, workers * 3 / 4);
  return {.of_team = std::max<std::size_t>(1, workers / 4), .of_all = of_all, .for_first = of_all / 2};
}

api::RateLimits rate_limits(const Configuration& configuration) {
  const auto limit = [](std::int64_t per_second, std::int64_t burst) {
    return api::RateLimit{.per_second = static_cast<double>(per_second), .burst = static_cast<double>(burst)};
  };
  return {.token = limit(configuration.server_requests_per_second, configuration.server_request_burst),
          .address = limit(configuration.server_refusals_per_second, configuration.server_refusal_burst)};
}

providers::PostgresqlConfig postgresql_config(const Configuration& configuration, os::FileSystem& files) {
  providers::PostgresqlConfig config;
  config.state_dir = configuration.server_services_dir;
  config.installation_roots = {configuration.postgres_installation_roots.begin(),
                               configuration.postgres_installation_roots.end()};
  config.restore_helper = restore_helper(configuration, files);
  config.service_address = configuration.postgres_service_address;
  config.stores = store_policy(configuration);
  config.base_rules.oldest_full = std::chrono::hours(24 * configuration.postgres_full_backup_days);
  config.base_rules.most_incrementals = static_cast<std::uint32_t>(configuration.postgres_full_backup_after);
  config.import_roots = {configuration.import_roots.begin(), configuration.import_roots.end()};
  config.look_every = std::chrono::seconds(configuration.postgres_look_seconds);
  return config;
}

providers::SpoolConfig spool_config(const Configuration& configuration) {
  return {.directory = providers::spool_directory(configuration.server_services_dir),
          .most_bytes = static_cast<std::uint64_t>(configuration.import_max_upload_bytes),
          .roots = {configuration.import_roots.begin(), configuration.import_roots.end()},
          .egress = store_policy(configuration).egress};
}

}  // namespace

/// Members are made from top to bottom and destroyed the other way round: each needs only what stands above it.
struct ServerAssembly::Parts {
  Parts(const Configuration& configuration, const Environment& environment)
      : state(configuration.server_state_dir, files, random),
        database(open_database(configuration, environment)),
        operations(clock, random, feed),
        runtime({.state_dir = configuration.server_services_dir}, files, runner),
        turns(store_turns(configuration)),
        backend_client(backend_client_config(configuration)),
        backends(backend_client),
        providers(built_in_providers(configuration)),
        gate(store_policy(configuration), {.clock = clock, .random = random, .metrics = &metrics, .stop = {}}, turns),
        commands({.database = *database,
                  .providers = providers,
                  .operations = operations,
                  .stores = gate,
                  .clock = clock,
                  .random = random},
                 command_config(configuration)),
        provider_commands(
            {.database = *database, .providers = providers, .backends = backends, .clock = clock, .random = random}),
        external_services(
            {.database = *database, .providers = providers, .commands = commands, .clock = clock, .random = random}),
        queries(*database, providers),
        spool(spool_config(configuration), files, backend_client, gate, random),
        notifier(backend_client, clock, store_policy(configuration).egress),
        accounts({.database = *database, .clock = clock, .random = random},
                 {.open_registration = configuration.accounts_open_registration}),
        engine({.database = *database,
                .providers = providers,
                .operations = operations,
                .clock = clock,
                .random = random,
                .metrics = metrics,
                .notifier = &notifier,
                .spool = &spool},
               {.workers = static_cast<unsigned>(configuration.control_worker_threads),
                .ports = ports(configuration),
                .keep_history = std::chrono::hours(24 * configuration.control_keep_history_days),
                .removal_grace = std::chrono::hours(configuration.control_removal_grace_hours),
                .rollback_grace = std::chrono::hours(configuration.control_rollback_grace_hours),
                .first_uid = command_config(configuration).first_uid,
                .last_uid = command_config(configuration).last_uid,
                .verify_every = std::chrono::hours(configuration.verification_every_hours),
                .verify_nth = configuration.verification_every_backups,
                .membership = {.server_id = state.server_id(), .shared = !configuration.server_state.empty()}}),
        authentication([this](std::string_view token) { return commands.authenticate(token); }),
        limits(rate_limits(configuration), clock) {
    metrics.gauge("backstay_build_info", "the version that runs; always 1", {{"version", BACKSTAY_VERSION}}).set(1);
    prepare_directory_roots(configuration, files);
    providers.refresh(*database);
    // Servers that share a state wait for each other's leases; alone, whoever held one is gone.
    configuration.server_state.empty() ? keys.end_leases() : keys.end_leases_if_alone(state.server_id());
    ensure_admin_token();
    api::adapter::add_routes(routes, external_services);
    api::lnchr::add_routes(routes, {.commands = commands,
                                    .queries = queries,
                                    .schedules = schedules,
                                    .accounts = accounts,
                                    .authentication = authentication,
                                    .imports = imports,
                                    .random = random});
    api::guidewire::add_routes(routes, {.commands = commands,
                                        .queries = queries,
                                        .access = access,
                                        .limits = limits,
                                        .bare_lists = configuration.guidewire_bare_lists});
    api::cloudheed::add_routes(routes, {.commands = commands,
                                        .queries = queries,
                                        .accounts = accounts,
                                        .feed = feed,
                                        .clock = clock,
                                        .random = random,
                                        .regions = configuration.cloudheed_regions});
    api::house::add_routes(routes, {.commands = commands,
                                    .providers = provider_commands,
                                    .queries = queries,
                                    .webhooks = webhooks,
                                    .schedules = schedules,
                                    .accounts = accounts,
                                    .feed = feed,
                                    .imports = imports,
                                    .authentication = authentication,
                                    .streams = streams,
                                    .clock = clock,
                                    .metrics = metrics,
                                    .verifications = verifications,
                                    .ready = [this] { return ready.load(); },
                                    .public_url = configuration.server_public_url,
                                    .version = BACKSTAY_VERSION});
    control::clear_spool(*database, spool, clock.now(), !configuration.server_state.empty());
    auto serving = http_config(configuration);
    serving.is_upload = [this](const http::Request& head) { return routes.is_upload(head); };
    server = std::make_unique<http::Server>(
        std::move(serving), [this](const http::Request& request) { return dialects.handle(request); },
        [this](const http::Request& request, const core::Error& error) { return dialects.refuse(request, error); },
        random, metrics);
  }

  std::vector<std::unique_ptr<control::Provider>> built_in_providers(const Configuration& configuration) {
    std::vector<std::unique_ptr<control::Provider>> built_in;
    built_in.push_back(providers::make_postgresql_provider({.runtime = runtime,
                                                            .files = files,
                                                            .runner = runner,
                                                            .clock = clock,
                                                            .random = random,
                                                            .metrics = metrics,
                                                            .memory = memory,
                                                            .turns = turns},
                                                           postgresql_config(configuration, files)));
    built_in.push_back(providers::make_rest_provider(
        {.transport = backend_client, .clock = clock, .find = [this](std::string_view name, std::string_view version) {
           return providers.find(name, version);
         }}));
    return built_in;
  }

  std::unique_ptr<metadata::Database> open_database(const Configuration& configuration,
                                                    const Environment& environment) {
    auto opened = metadata::Database::open(database_config(configuration, environment, state, files, random), random);
    claim_services_directory(configuration.server_services_dir, files, *opened, random);
    return opened;
  }

  /// The token is in the state before it is in its file; if the process is killed between the two, nobody knows it, and
  /// the next start makes another one.
  void ensure_admin_token() {
    auto token = commands.bootstrap();
    if (!state.lacks_admin_token()) return;
    if (!token) {
      control::Principal root;
      root.token_name = "first start";
      root.admin = root.all_teams = root.may_read = root.may_write = true;
      control::CreateTokenRequest request;
      request.name = "admin";
      request.scopes = {std::string(model::kScopeAdmin)};
      request.all_teams = true;
      token = commands.create_token(request, root).text;
    }
    state.put_admin_token(*token);
  }

  os::RealFileSystem files;
  os::SystemProcessRunner runner;
  core::SystemClock clock;
  core::SystemRandom random;
  core::Metrics metrics;
  StateDirectory state;
  std::unique_ptr<metadata::Database> database;
  control::StateArchiveMemory memory{*database};
  control::OperationFeed feed;
  control::OperationQueue operations;
  runtime::ProcessRuntime runtime;
  providers::StoreTurns turns;
  http::Client backend_client;
  providers::RestBackendGate backends;
  control::ProviderRegistry providers;
  providers::BlobStoreGate gate;
  control::ServiceCommands commands;
  control::ProviderCommands provider_commands;
  control::ExternalServices external_services;
  control::Queries queries;
  providers::FileDumpSpool spool;
  control::ImportCommands import_commands{{*database, providers, operations, spool, clock, random}};
  api::ImportRequests imports{import_commands};
  notify::WebhookSender notifier;
  control::WebhookCommands webhooks{{*database, notifier, clock, random}};
  control::ScheduleCommands schedules{{*database, providers, gate, commands, clock, random}};
  control::VerificationCommands verifications{{*database, providers, operations}};
  control::Accounts accounts;
  control::ClientAccess access{*database, clock, random};
  control::Engine engine;
  api::Authentication authentication;
  api::EventStreams streams{authentication, clock};
  http::Router router;
  api::Dialects dialects{router, clock, BACKSTAY_VERSION};
  api::RateLimiter limits;
  control::IdempotencyGate keys{*database, clock, random};
  control::AuditLog audit{*database};
  control::RefusalEvents refusals{*database, clock, random};
  api::RouteTable routes =
      api::house::make_route_table(router, {authentication, limits, keys, audit, refusals, clock, random});
  std::atomic<bool> ready = false;
  std::unique_ptr<http::Server> server;
};

ServerAssembly::ServerAssembly(const Configuration& configuration, const Environment& environment)
    : parts_(std::make_unique<Parts>(configuration, environment)) {}

ServerAssembly::~ServerAssembly() { stop(); }

void ServerAssembly::start() {
  parts_->engine.start();
  parts_->server->start();
  parts_->ready = true;
  parts_->state.put_endpoint(url());
  core::log_info("server.ready", "the server takes requests",
                 {{"url", url()}, {"stateDir", parts_->state.path().string()}});
}

void ServerAssembly::stop() {
  if (!parts_->ready.exchange(false)) return;
  parts_->state.remove_endpoint();
  parts_->server->stop(kStopGrace);
  parts_->engine.stop();
}

std::string ServerAssembly::url() const { return parts_->server->url(); }

}  // namespace backstay::app
