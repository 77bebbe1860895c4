// Managed PostgreSQL: the `postgresql`/"<major>" and `postgres`/"v1" offers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backup/base_choice.h"
#include "blob/destination.h"
#include "control/archive_memory.h"
#include "control/provider.h"
#include "control/runtime.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/time.h"
#include "os/file_system.h"
#include "os/process.h"
#include "providers/store_turns.h"

namespace backstay::providers {

struct PostgresqlConfig {
  /// Holds the certificate authority (0600) in ca/.
  std::filesystem::path state_dir;
  /// Searched for PostgreSQL installations, in Debian's layout or as installation prefixes.
  std::vector<std::filesystem::path> installation_roots = {"/usr/lib/postgresql"};
  /// The program that restore_command runs.
  std::filesystem::path restore_helper;
  /// What services listen on and what their details name: an address or a host name of this machine.
  std::string service_address = "127.0.0.1";
  /// Which stores may be reached.
  blob::StorePolicy stores;
  /// When a backup is a full one.
  backup::BaseRules base_rules;
  /// How often the archive of a running service is looked at.
  core::Duration look_every = std::chrono::seconds(30);
  /// Dumps named by a path are taken from below these only.
  std::vector<std::filesystem::path> import_roots;
};

/// What the provider needs; all outlive it.
struct PostgresqlDependencies {
  control::Runtime& runtime;
  os::FileSystem& files;
  os::ProcessRunner& runner;
  core::Clock& clock;
  core::Random& random;
  core::Metrics& metrics;
  control::ArchiveMemory& memory;
  StoreTurns& turns;
};

/// Looks for installations now. Offers nothing (and says so in the log) if there is none.
std::unique_ptr<control::Provider> make_postgresql_provider(PostgresqlDependencies dependencies,
                                                            PostgresqlConfig config);

}  // namespace backstay::providers
