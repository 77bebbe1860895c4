// One PostgreSQL instance of one service, as the provider handles it: where it lies, how it is configured, started and
// entered. Made anew for each piece of work.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "backup/scratch.h"
#include "control/provider.h"
#include "control/runtime.h"
#include "model/catalogue.h"
#include "os/file_system.h"
#include "postgres/instance_paths.h"
#include "postgres/roles.h"
#include "postgres/server.h"
#include "postgres/server_config.h"
#include "providers/postgresql.h"
#include "providers/runtime_launcher.h"
#include "providers/server_certificates.h"

namespace backstay::providers {

/// What all instances share; outlives them.
struct PostgresqlWorld {
  PostgresqlDependencies deps;
  PostgresqlConfig config;
  std::vector<postgres::Installation> installations;
  std::vector<model::EngineVersion> versions;
  model::Catalogue offers;
  ServerCertificates& certificates;
  std::shared_ptr<backup::ScratchClaims> scratch = std::make_shared<backup::ScratchClaims>();

  [[nodiscard]] const model::ProviderDefinition& offer_of(const model::Service& service) const {
    return offers.require(service.provider.name, service.provider.version);
  }
  /// The major that a new instance of the service gets.
  [[nodiscard]] int major_of(const model::Service& service) const;
};

class PostgresqlInstance {
 public:
  PostgresqlInstance(const PostgresqlWorld& world, const control::ServiceBody& body);

  [[nodiscard]] postgres::Server& server() { return server_; }
  [[nodiscard]] const postgres::InstancePaths& paths() const { return paths_; }
  [[nodiscard]] const std::optional<os::Identity>& identity() const { return identity_; }
  [[nodiscard]] const postgres::Installation& installation() const { return installation_; }
  [[nodiscard]] const model::PostgresWishes& wishes() const { return wishes_; }
  [[nodiscard]] postgres::ServerResources resources() const;
  [[nodiscard]] control::InstancePlace place() const;
  [[nodiscard]] RuntimeLauncher launcher() const { return {world_.deps.runtime, place()}; }
  [[nodiscard]] postgres::Access access() const;
  /// How much WAL the server may keep for a store that is away: this service's part of the disk.
  [[nodiscard]] std::uint64_t kept_wal_limit(std::uint64_t segment_size) const;
  /// The name of the replication slot.
  [[nodiscard]] std::string slot() const;

  /// Directories and certificate.
  void prepare();
  struct ConfigChoice {
    /// No client can reach it.
    bool closed = false;
    bool summarize_wal = true;
  };
  /// Writes the settings of the service; they are in effect after a start, most after a reload.
  void write_config(ConfigChoice choice);
  void write_config() { write_config(ConfigChoice()); }
  /// Starts it with these settings, unless it runs, and waits until it accepts connections. Throws
  /// Error(database_unavailable), naming the port if somebody else listens there.
  void run(std::stop_token stop);
  /// The same for ourselves alone: it listens on its private socket only.
  void run_closed(std::stop_token stop);
  /// True if it does not run and something else listens on its port.
  [[nodiscard]] bool port_taken() const;
  /// Makes role, database and passwords what the service says.
  void grant_access(std::stop_token stop);
  /// The instance with what only the server knows.
  [[nodiscard]] model::Instance described(std::stop_token stop);

 private:
  const PostgresqlWorld& world_;
  const control::ServiceBody& body_;
  model::PostgresWishes wishes_;
  std::optional<os::Identity> identity_;
  const postgres::Installation& installation_;
  postgres::InstancePaths paths_;
  postgres::Server server_;
};

/// The user of its own that an instance has; nothing where all share ours.
std::optional<os::Identity> identity_of(const model::Instance& instance);

/// True if a server could listen on the port of this machine now.
bool can_listen(std::uint16_t port);

}  // namespace backstay::providers
