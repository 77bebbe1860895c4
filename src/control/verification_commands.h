// Seeing on demand that a backup works.
#pragma once

#include <string>

#include "control/event_log.h"
#include "control/operation_queue.h"
#include "control/preview.h"
#include "control/principal.h"
#include "control/provider_registry.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/operation.h"

namespace backstay::control {

/// All outlive it.
struct VerificationDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  OperationQueue& operations;
};

/// Thread-safe. A backup of a team that the principal does not see is not_found.
class VerificationCommands {
 public:
  explicit VerificationCommands(VerificationDependencies dependencies) : deps_(dependencies) {}

  /// The operation that restores the backup and looks at the copy; the open one if there is one. Throws
  /// Error(conflict) for a backup that is not confirmed yet, or of a service that is deleted, and not_supported with
  /// the reason where it cannot be verified.
  model::Operation verify(const std::string& backup_id, const Principal& principal);
  Preview preview(const std::string& backup_id, const Principal& principal);

 private:
  model::Backup require_verifiable(metadata::Transaction& tx, const std::string& id, const Principal& principal);

  VerificationDependencies deps_;
};

/// Enters the work within the caller's transaction; ring the queue after its commit.
model::Operation enqueue_verification(metadata::Transaction& tx, OperationQueue& queue, const model::Backup& backup);
/// Queued or running, of any service or of one backup.
std::vector<model::Operation> open_verifications(metadata::Transaction& tx, const std::string& backup_id = {});

}  // namespace backstay::control
