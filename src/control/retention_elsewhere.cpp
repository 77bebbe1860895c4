#include "control/retention_elsewhere.h"

#include <fmt/format.h>

#include "control/body_loader.h"
#include "control/retention_decision.h"
#include "control/retention_question.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/services.h"

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

/// What the backend does not remove is as good as it was.
void take_back(metadata::Transaction& tx, const std::string& backup_id) {
  auto backup = metadata::Backups(tx).require(backup_id);
  backup.state = model::BackupState::kCompleted;
  backup.removal_reason.clear();
  metadata::Backups(tx).update(backup);
}

/// `is_new`: this run decided that it goes.
void remove_elsewhere(const WorkDependencies& deps, StepContext& context, const model::Service& service,
                      const std::string& backup_id, bool is_new) {
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
    const bool stays = is_final(error) && !expired;
    if (stays && is_new && backup.stored_at) deps.database.write([&](auto& tx) { take_back(tx, backup_id); });
    if (stays || !is_final(error)) throw;
    left = error.message();
  }
  deps.database.write([&](auto& tx) {
    metadata::Backups(tx).remove(backup_id);
    deps.events.record(tx, service, left.empty() ? events::kBackupsRemoved : events::kBackupsRemovalFailed,
                       left.empty()
                           ? "1 backup was removed: " + backup.removal_reason
                           : fmt::format("a backup of the expired service could not be removed at its backend: {}; "
                                         "it must be deleted there by hand, under the id '{}'",
                                         left, backup_id),
                       {{"backup.ids", backup_id}});
  });
}

model::RetentionDecision decide_elsewhere(const WorkDependencies& deps, metadata::Transaction& tx,
                                          const std::string& service_id) {
  const auto service = metadata::Services(tx).require(service_id);
  return model::decide_retention(retention_case_elsewhere(tx, service, deps.clock.now()).question);
}

struct Decided {
  bool goes = false;
  bool is_new = false;
};

}  // namespace

void apply_retention_elsewhere(const WorkDependencies& deps, StepContext& context, const model::Service& service) {
  const auto first = deps.database.read([&](auto& tx) { return decide_elsewhere(deps, tx, service.id); });
  for (const auto& verdict : first.backups) {
    if (!verdict.goes) continue;
    // One by one, each as the state is by then: a backend that ends the run leaves the others as they were.
    const auto decided = deps.database.write([&](auto& tx) {
      auto decision = decide_elsewhere(deps, tx, service.id);
      std::erase_if(decision.backups,
                    [&](const auto& other) { return !other.goes || other.backup_id != verdict.backup_id; });
      const auto written = write_decision(tx, decision);
      return Decided{.goes = !decision.backups.empty(), .is_new = !written.empty()};
    });
    if (decided.goes) remove_elsewhere(deps, context, service, verdict.backup_id, decided.is_new);
  }
}

}  // namespace backstay::control
