#include "control/verification_commands.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "control/idempotency.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "model/team.h"

namespace backstay::control {
namespace {

void require_confirmed(const model::Backup& backup) {
  if (backup.state == model::BackupState::kCompleted && backup.confirmed_at) return;
  throw core::Error(core::Code::kConflict, fmt::format("the backup '{}' is {}: only one that was read back whole can "
                                                       "be verified",
                                                       backup.id, model::to_text(backup.state)))
      .with_hint("wait until it is confirmed, or verify another one");
}

/// Of one team, so that others do not wait behind all of its services.
constexpr std::ptrdiff_t kMostAskedFor = 10;

/// Of this backup. One service has no more than one that was asked for, so that it does not keep others waiting.
std::optional<model::Operation> find_open(metadata::Transaction& tx, const model::Backup& backup) {
  const auto open = open_verifications(tx, backup.service_id);
  for (const auto& operation : open) {
    if (core::find_string(operation.request, "backupId") == backup.id) return operation;
  }
  const auto other = std::ranges::find(open, kAskedLane, &model::Operation::lane);
  if (other != open.end()) {
    throw core::Error(core::Code::kConflict, "another backup of the service is being verified already")
        .with_hint(fmt::format("wait for the end of the operation '{}', or cancel it", other->id));
  }
  const auto of_team = std::ranges::count_if(open_verifications(tx), [&](const auto& operation) {
    return operation.lane == kAskedLane && operation.team_id == backup.team_id;
  });
  if (of_team < kMostAskedFor) return std::nullopt;
  throw core::Error(core::Code::kConflict,
                    fmt::format("{} verifications that the team has asked for are waiting already", of_team))
      .with_hint("wait for the end of one, or cancel one");
}

}  // namespace

std::vector<model::Operation> open_verifications(metadata::Transaction& tx, const std::string& service_id) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.kind = kinds::kVerify;
  open.open_only = true;
  return metadata::Operations(tx).list(open);
}

model::Operation enqueue_verification(metadata::Transaction& tx, OperationQueue& queue, const model::Backup& backup,
                                      std::string_view lane) {
  return queue.enqueue(tx, {.kind = std::string(kinds::kVerify),
                            .team_id = backup.team_id,
                            .service_id = backup.service_id,
                            .lane = std::string(lane),
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
  require_no_switch(tx, service);
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
    auto open = find_open(tx, backup);
    auto entered = open ? std::move(*open) : enqueue_verification(tx, deps_.operations, backup, kAskedLane);
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
