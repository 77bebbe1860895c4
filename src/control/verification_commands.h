// Seeing on demand that a backup works.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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
  /// Error(conflict) for a backup that is not confirmed yet, or of a service that is deleted or switched over or has
  /// another one open that was asked for, or whose team has many of these, and not_supported with the reason where it
  /// cannot be verified.
  model::Operation verify(const std::string& backup_id, const Principal& principal);
  Preview preview(const std::string& backup_id, const Principal& principal);

 private:
  model::Backup require_verifiable(metadata::Transaction& tx, const std::string& id, const Principal& principal);

  VerificationDependencies deps_;
};

/// Those that the policy wants and those that are asked for stand in line apart, and take turns.
inline constexpr std::string_view kPolicyLane = "verification";
inline constexpr std::string_view kAskedLane = "verification-asked";

/// Enters the work within the caller's transaction; ring the queue after its commit.
model::Operation enqueue_verification(metadata::Transaction& tx, OperationQueue& queue, const model::Backup& backup,
                                      std::string_view lane);
/// Queued or running, of any service or of one.
std::vector<model::Operation> open_verifications(metadata::Transaction& tx, const std::string& service_id = {});

}  // namespace backstay::control
