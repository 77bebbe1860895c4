#include "control/retention_elsewhere.h"

#include <fmt/format.h>

#include "control/body_loader.h"
#include "control/retention_question.h"
#include "core/error.h"
#include "metadata/backups.h"

namespace backstay::control {
namespace {

/// Another attempt would end in the same way.
bool is_final(const core::Error& error) {
  return error.code() == core::Code::kBackendRefused || error.code() == core::Code::kUnknownProvider;
}

ServiceBody body_of(metadata::Transaction& tx, const model::Service& service, const model::Backup& backup) {
  // One that never began has no instance, and nothing of it is anywhere.
  return backup.instance_id.empty() ? ServiceBody{} : load_body(tx, service, backup.instance_id);
}

void remove_elsewhere(const WorkDependencies& deps, StepContext& context, const model::Service& service,
                      const std::string& backup_id, const std::string& reason) {
  const auto [backup, body] = deps.database.read([&](auto& tx) {
    auto found = metadata::Backups(tx).require(backup_id);
    auto loaded = body_of(tx, service, found);
    return std::pair(std::move(found), std::move(loaded));
  });
  const bool expired = service.deleted_at && service.expires_at && *service.expires_at <= deps.clock.now();
  std::string left;
  try {
    if (!backup.instance_id.empty()) {
      deps.providers.of_kind(service.provider.kind).remove_backup(body, backup, context);
    }
  } catch (const core::Error& error) {
    if (!expired || !is_final(error)) throw;
    left = error.message();
  }
  deps.database.write([&](auto& tx) {
    metadata::Backups(tx).remove(backup_id);
    deps.events.record(tx, service, left.empty() ? events::kBackupsRemoved : events::kBackupsRemovalFailed,
                       left.empty()
                           ? "1 backup was removed: " + reason
                           : fmt::format("a backup of the expired service could not be removed at its backend: {}; "
                                         "it must be deleted there by hand, under the id '{}'",
                                         left, backup_id),
                       {{"backup.ids", backup_id}});
  });
}

}  // namespace

void apply_retention_elsewhere(const WorkDependencies& deps, StepContext& context, const model::Service& service) {
  const auto place =
      deps.database.read([&](auto& tx) { return retention_case_elsewhere(tx, service, deps.clock.now()); });
  for (const auto& verdict : model::decide_retention(place.question).backups) {
    if (verdict.goes) remove_elsewhere(deps, context, service, verdict.backup_id, verdict.reason);
  }
}

}  // namespace backstay::control
