// Services and backups that another platform asks for as the caller of the adapter contract: it gives them ids of its
// own, repeats what it is not sure of, and never waits for work.
//
// A caller speaks for the one team of its token; everything it makes belongs to that team.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/principal.h"
#include "control/provider_registry.h"
#include "control/requests.h"
#include "control/service_commands.h"
#include "core/json.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// Which of the providers that are built in the caller uses.
struct ExternalProvider {
  std::string name;
  std::string version;
};

struct ExternalPlan {
  std::optional<std::int64_t> id;
  core::json::object parameters;
};

/// A backup, or a service at a time, by the caller's ids.
struct ExternalRecovery {
  std::optional<std::string> backup_id;
  std::optional<std::string> service_id;
  std::optional<core::Timestamp> time;
  core::json::object config;
  model::Secrets secrets;
};

struct ExternalCreation {
  std::string id;
  std::int64_t team_id = 0;
  ExternalPlan plan;
  core::json::object config;
  model::Secrets secrets;
  std::optional<ExternalRecovery> recover_from;
  /// An application version; not_supported where the provider has none.
  std::optional<std::string> app_version{};
};

/// A section that is given is the whole section, but for secrets, of which those that are not named stay.
struct ExternalChange {
  std::optional<ExternalPlan> plan;
  std::optional<core::json::object> config;
  std::optional<model::Secrets> secrets;
  std::optional<bool> pause;
  std::optional<std::string> app_version{};
};

struct ExternalBackupOrder {
  std::string id;
  std::string service_id;
  std::int64_t team_id = 0;
  core::json::object config;
  model::Secrets secrets;
  std::optional<std::int64_t> retention_days;
};

struct ExternalReport {
  /// Those that the plan fixes are among them.
  std::map<std::string, std::int64_t> parameters;
  core::json::object config;
  core::json::object details;
  bool pause = false;
  /// Empty while all is well.
  std::string error;
};

struct ExternalBackup {
  bool exists = false;
  std::string error;
};

/// What it needs; all outlive it.
struct ExternalServicesDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  ServiceCommands& commands;
  core::Clock& clock;
  core::Random& random;
};

/// Thread-safe. Throws what ServiceCommands throws, Error(not_found) for ids that the caller never gave or whose object
/// is gone, and Error(invalid_argument) for a token of no team or of several.
class ExternalServices {
 public:
  explicit ExternalServices(ExternalServicesDependencies dependencies) : deps_(dependencies) {}

  /// Done if the caller asked for it before. conflict for an id that was used for another provider or is deleted.
  void create(const ExternalProvider& provider, const ExternalCreation& wanted, const Principal& principal);
  void change(const ExternalProvider& provider, const std::string& id, const ExternalChange& wanted,
              const Principal& principal);
  void remove(const ExternalProvider& provider, const std::string& id, const Principal& principal);
  std::vector<std::string> list(const ExternalProvider& provider, const Principal& principal);
  /// Unknown ids are left out.
  std::map<std::string, ExternalReport> report(const ExternalProvider& provider, const std::vector<std::string>& ids,
                                               const Principal& principal);

  /// Turns backups to the order's store on, if they are not, and schedules one. Done if it was ordered before.
  void order_backup(const ExternalProvider& provider, const ExternalBackupOrder& order, const Principal& principal);
  /// One that is not there, of a service that is, is unknown and no error: its order may have been lost.
  ExternalBackup backup(const ExternalProvider& provider, const std::string& id, const std::string& service_id,
                        const Principal& principal);
  /// Done if its deletion was asked for before. conflict for one that its service still needs.
  void remove_backup(const ExternalProvider& provider, const std::string& id, const Principal& principal);

 private:
  std::optional<model::Backup> find_backup(std::int64_t team, const std::string& id);
  /// Throws Error(not_found) for what is not built in.
  model::ProviderDefinition require_offer(const ExternalProvider& provider) const;
  std::optional<model::Service> find(const ExternalProvider& provider, std::int64_t team, const std::string& id);
  model::Service require(const ExternalProvider& provider, std::int64_t team, const std::string& id);
  /// The id of the object here: the intent is in the state before the object is.
  std::string reserve(const std::string& kind, std::int64_t team, const std::string& id, std::int64_t caller_team);
  RecoverRequest recovery_of(const ExternalRecovery& wanted, std::int64_t team);
  void direct_backups(const model::Service& service, const ExternalBackupOrder& order, const Principal& principal);

  ExternalServicesDependencies deps_;
};

}  // namespace backstay::control
