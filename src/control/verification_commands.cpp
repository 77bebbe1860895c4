#include "control/verification_commands.h"

#include <fmt/format.h>

#include "control/idempotency.h"
#include "core/error.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "model/team.h"

namespace backstay::control {
namespace {

/// One copy at a time: it takes room, and the disk has other work.
constexpr std::string_view kLane = "verification";

void require_confirmed(const model::Backup& backup) {
  if (backup.state == model::BackupState::kCompleted && backup.confirmed_at) return;
  throw core::Error(core::Code::kConflict, fmt::format("the backup '{}' is {}: only one that was read back whole can "
                                                       "be verified",
                                                       backup.id, model::to_text(backup.state)))
      .with_hint("wait until it is confirmed, or verify another one");
}

}  // namespace

std::vector<model::Operation> open_verifications(metadata::Transaction& tx, const std::string& backup_id) {
  metadata::OperationFilter open;
  open.kind = kinds::kVerify;
  open.open_only = true;
  auto found = metadata::Operations(tx).list(open);
  if (backup_id.empty()) return found;
  std::erase_if(found, [&](const auto& operation) {
    return core::find_string(operation.request, "backupId").value_or("") != backup_id;
  });
  return found;
}

model::Operation enqueue_verification(metadata::Transaction& tx, OperationQueue& queue, const model::Backup& backup) {
  return queue.enqueue(tx, {.kind = std::string(kinds::kVerify),
                            .team_id = backup.team_id,
                            .service_id = backup.service_id,
                            .lane = std::string(kLane),
                            .request = {{"backupId", backup.id}},
                            .secrets = {},
                            .not_before = {}});
}

model::Backup VerificationCommands::require_verifiable(metadata::Transaction& tx, const std::string& id,
                                                       const Principal& principal) {
  require_scope(principal, model::kScopeBackupsWrite);
  auto backup = metadata::Backups(tx).find(id);
  if (!backup || !principal.sees_team(backup->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no backup '{}'", id));
  }
  const auto service = metadata::Services(tx).require(backup->service_id);
  if (service.delete_requested_at || service.deleted_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is deleted", service.name))
        .with_hint("undelete it, or recover the backup into a service");
  }
  require_confirmed(*backup);
  const auto instance = metadata::Instances(tx).require(backup->instance_id);
  if (const auto problem = deps_.providers.of_kind(service.provider.kind).verification_problem(instance, *backup)) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("the backup '{}' cannot be verified here: {}", id, *problem))
        .with_hint("recover it into a service and look at that");
  }
  return std::move(*backup);
}

model::Operation VerificationCommands::verify(const std::string& backup_id, const Principal& principal) {
  auto operation = deps_.database.write([&](auto& tx) {
    const auto backup = require_verifiable(tx, backup_id, principal);
    const auto open = open_verifications(tx, backup_id);
    auto entered = open.empty() ? enqueue_verification(tx, deps_.operations, backup) : open.front();
    take_effect(tx, principal, entered.id);
    return entered;
  });
  deps_.operations.ring();
  return operation;
}

Preview VerificationCommands::preview(const std::string& backup_id, const Principal& principal) {
  return deps_.database.read([&](auto& tx) {
    const auto backup = require_verifiable(tx, backup_id, principal);
    Preview preview;
    preview.effects.push_back(
        fmt::format("the backup is restored to a place of its own ({} of data), looked at, and "
                    "removed; the service and its data are not touched",
                    core::format_bytes(backup.data_bytes)));
    const bool waits = !open_verifications(tx).empty();
    if (waits) preview.effects.emplace_back("it waits for the verification that is under way: there is one at a time");
    return preview;
  });
}

}  // namespace backstay::control
