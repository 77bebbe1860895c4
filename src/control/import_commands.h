// Taking dumps into running services, asked for by any dialect.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "control/dump_spool.h"
#include "control/event_log.h"
#include "control/operation_queue.h"
#include "control/principal.h"
#include "control/provider_registry.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/operation.h"
#include "model/secrets.h"

namespace backstay::control {

/// Exactly one of path, url and backup_id.
struct ImportRequest {
  /// A file or a directory below a root that the operator allowed; with a destination: an object below its prefix.
  std::optional<std::string> path{};
  /// One of the service's own team.
  std::optional<std::string> destination_id{};
  /// http or https.
  std::optional<std::string> url{};
  /// A logical backup of the same team.
  std::optional<std::string> backup_id{};
  /// "plain", "custom", "tar" or "directory"; nothing: the content says it.
  std::optional<std::string> format{};
};

/// All outlive the commands.
struct ImportDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  OperationQueue& operations;
  DumpSpool& spool;
  core::Clock& clock;
  core::Random& random;
};

/// Thread-safe. Refusals name the fields /path, /destinationId, /url, /backupId and /format. A service of a team that
/// the principal does not see is not_found; conflict while the service does not run, is being deleted, switched,
/// recovered or changed otherwise, or takes in another dump.
class ImportCommands {
 public:
  explicit ImportCommands(ImportDependencies dependencies)
      : deps_(dependencies), events_(dependencies.clock, dependencies.random) {}

  model::Operation import_dump(const std::string& service_id, const ImportRequest& request, const Principal& principal);

  /// An upload in two parts. Refuses what import_dump refuses, before its content comes; `length`: if known.
  std::unique_ptr<SpoolFile> begin_upload(const std::string& service_id, const std::optional<std::string>& format,
                                          std::optional<std::uint64_t> length, const Principal& principal);
  /// What was written is complete.
  model::Operation import_upload(const std::string& service_id, std::unique_ptr<SpoolFile> dump,
                                 const std::optional<std::string>& format, const Principal& principal);

 private:
  model::Operation enqueue(const std::string& service_id, core::json::object request, model::Secrets secrets,
                           const Principal& principal);
  void require_importable(metadata::Transaction& tx, const std::string& service_id, const Principal& principal);
  void require_own_destination(const std::string& service_id, const std::string& id);
  void require_own_backup(const std::string& service_id, const std::string& backup_id, const Principal& principal);

  ImportDependencies deps_;
  EventLog events_;
};

/// At start: removes what lies in the spool and no open operation refers to. `shared`: other servers may be taking
/// uploads now, so that only what is a day old goes.
void clear_spool(metadata::Database& database, DumpSpool& spool, core::Timestamp now, bool shared);

}  // namespace backstay::control
