// What reads: for every dialect, the CLI's server side and the UI. Nothing here changes anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/dump_download.h"
#include "control/principal.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "core/error.h"
#include "core/json.h"
#include "metadata/audit.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/destination.h"
#include "model/event.h"
#include "model/instance.h"
#include "model/operation.h"
#include "model/recovery.h"
#include "model/service.h"
#include "model/team.h"

namespace backstay::control {

/// A service with what its resource shows to the principal: events with the scope "read", backups with "backups:read".
struct ServiceView {
  model::Service service;
  /// Newest first, at most 20.
  std::vector<model::Event> recent_events;
  /// Oldest first; failed ones are in the events, and those that are being deleted cannot be used any more.
  std::vector<model::Backup> backups;
};

/// What a service goes by, for clients that know it by its labels.
struct ServiceName {
  std::string id;
  std::string name;
  model::Labels labels;
  /// How long its backups are kept that say nothing of their own.
  std::int64_t retention_days = 0;
  /// Its deletion was asked for.
  bool deleted = false;
};

struct EventFilter {
  std::optional<std::string> service_id = {};
  std::optional<std::int64_t> team_id = {};
  /// Only events after this one (its sequence number), oldest first; else the newest `limit`, newest first.
  std::optional<std::int64_t> after = {};
  /// Only events before this one, newest first.
  std::optional<std::int64_t> before = {};
  /// Names of the event catalogue, or "backup.*" for all that begin so; empty: all. Error(invalid_argument) for others.
  std::vector<std::string> names = {};
  int min_severity = 0;
  std::optional<core::Timestamp> since = {};
  /// Only before this time.
  std::optional<core::Timestamp> until = {};
  /// 0: all.
  std::size_t limit = 100;
};

/// The least severity number of "info", "warning" or "error".
int severity_from_text(std::string_view text);

struct OperationFilter {
  std::optional<std::string> service_id;
  std::optional<std::int64_t> team_id;
  /// Those after this one in the list's order. Error(invalid_argument) if it is not there.
  std::string after_id = {};
  /// 0: all.
  std::size_t limit = 100;
};

/// Nothing: of every team that the principal sees.
struct ServiceFilter {
  std::optional<std::int64_t> team_id;
  bool include_deleted = false;
  std::string after_id = {};
  std::size_t limit = 0;
};

struct BackupFilter {
  std::string service_id;
  std::string after_id = {};
  std::size_t limit = 0;
};

/// The item that a page goes on after is not there any more: Error(invalid_argument) with the pointer ?page_token.
core::Error page_is_gone();

/// Thread-safe. What belongs to a team that the principal does not see is not there: Error(not_found) for an id, absent
/// from lists.
class Queries {
 public:
  Queries(metadata::Database& database, const ProviderRegistry& providers)
      : database_(database), providers_(providers) {}

  /// What the team may deploy; without one, what any team that the principal sees may. Throws Error(not_found) for a
  /// team that the principal does not see.
  std::vector<model::ProviderDefinition> providers(std::optional<std::int64_t> team_id, const Principal& principal);

  /// By creation.
  std::vector<ServiceView> services(const ServiceFilter& filter, const Principal& principal);
  std::vector<ServiceView> services(std::int64_t team_id, bool include_deleted, const Principal& principal) {
    return services({.team_id = team_id, .include_deleted = include_deleted}, principal);
  }
  ServiceView service(const std::string& id, const Principal& principal);
  /// What the team's services go by, by creation, with deleted ones whose record is kept but without candidates; for
  /// whoever may read something.
  std::vector<ServiceName> service_names(std::int64_t team_id, const Principal& principal);
  /// The record alone, without secrets, also for whoever may read no more of the service than its backups.
  model::Service service_record(const std::string& id, const Principal& principal);
  /// What the provider tells of the running service: {hostname, port, dsn, ready}.
  core::json::object details(const std::string& service_id, const Principal& principal);
  /// Every instance that the service has pointed to, the one that serves first.
  std::vector<model::Instance> instances(const std::string& service_id, const Principal& principal);
  /// Nothing while the service is not being archived.
  std::optional<AtRisk> at_risk(const std::string& service_id, const Principal& principal);
  /// The backup of the service that was last seen to work; nothing if none was, or if it has failed since.
  std::optional<model::Backup> last_verified(const std::string& service_id, const Principal& principal);
  /// What the last looks at the archive of the serving instance found; nothing while nobody looks.
  std::optional<model::ChainReport> chain(const std::string& service_id, const Principal& principal);
  /// One for each archive of each instance that the service has pointed to, the newest first; union_of() joins them.
  /// Older ones in which nothing is left are not told.
  std::vector<model::RecoveryWindow> recovery_windows(const std::string& service_id, const Principal& principal);

  /// Newest first.
  std::vector<model::Backup> backups(const BackupFilter& filter, const Principal& principal);
  std::vector<model::Backup> backups(const std::string& service_id, const Principal& principal) {
    return backups(BackupFilter{.service_id = service_id}, principal);
  }
  model::Backup backup(const std::string& id, const Principal& principal);
  model::Backup backup_of_number(std::int64_t number, const Principal& principal);
  /// A stored logical backup as SQL. Throws invalid_argument for a physical one, recovery_out_of_reach for one that is
  /// not stored (any more), not_supported with the reason where it cannot be read.
  DumpDownload dump(const std::string& backup_id, const Principal& principal);

  std::vector<model::Operation> operations(const OperationFilter& filter, const Principal& principal);
  model::Operation operation(const std::string& id, const Principal& principal);
  std::vector<model::Event> events(const EventFilter& filter, const Principal& principal);

  /// For administrators.
  std::vector<model::AuditEntry> audit(const metadata::AuditFilter& filter, const Principal& principal);

  std::vector<model::Team> teams(const Principal& principal);
  model::Team team(std::int64_t id, const Principal& principal);
  model::Team team_of_slug(const std::string& slug, const Principal& principal);
  /// Keys: all of them for administrators, their own for a person who has logged in.
  std::vector<model::Token> tokens(const Principal& principal);
  std::vector<model::Destination> destinations(std::optional<std::int64_t> team_id, const Principal& principal);
  model::Destination destination(const std::string& id, const Principal& principal);

  /// A position in a list as a token that a client can neither read nor make; any server of this state reads it. `list`
  /// says which list it is, with what narrows it.
  std::string page_token(const std::string& list, const std::string& position);
  /// Throws Error(invalid_argument) with the pointer ?page_token for what is no token of this list.
  std::string page_position(const std::string& list, const std::string& token);

 private:
  metadata::Database& database_;
  const ProviderRegistry& providers_;
};

}  // namespace backstay::control
