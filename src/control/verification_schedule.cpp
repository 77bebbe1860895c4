#include "control/verification_schedule.h"

#include <algorithm>

#include "control/switch_plan.h"
#include "control/verification_commands.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/services.h"
#include "metadata/verification_turns.h"

namespace backstay::control {
namespace {

/// Looked at with one tick, so that it stays short.
constexpr std::size_t kAtOnce = 20;
/// One whose operation is open; its end sets the turn anew.
constexpr auto kWhileOpen = std::chrono::hours(24);
constexpr auto kWhileSwitched = std::chrono::minutes(1);

}  // namespace

void hurry_verification(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now) {
  metadata::VerificationTurns(tx).hurry(service_id, now);
}

bool VerificationSchedule::is_busy(metadata::Transaction& tx) {
  const auto open = open_verifications(tx);
  return std::ranges::find(open, kPolicyLane, &model::Operation::lane) != open.end();
}

void VerificationSchedule::tick() {
  const auto now = clock_.now();
  const bool any = database_.read(
      [&](auto& tx) { return !metadata::VerificationTurns(tx).due(server_, now, 1).empty() && !is_busy(tx); });
  if (!any) return;
  const bool entered = database_.write([&](auto& tx) {
    if (is_busy(tx)) return false;
    for (const auto& id : metadata::VerificationTurns(tx).due(server_, now, kAtOnce)) {
      if (enter(tx, id, now)) return true;
    }
    return false;
  });
  if (entered) queue_.ring();
}

bool VerificationSchedule::enter(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now) {
  metadata::VerificationTurns turns(tx);
  const auto service = metadata::Services(tx).require(service_id);
  if (!service.backups.enabled || service.delete_requested_at || service.deleted_at) {
    turns.set(service_id, std::nullopt);
    return false;
  }
  if (open_switch(tx, service)) {
    turns.set(service_id, now + kWhileSwitched);
    return false;
  }
  if (!open_verifications(tx, service_id).empty()) {
    turns.set(service_id, now + kWhileOpen);
    return false;
  }
  auto of_service = metadata::Backups(tx).list_of({service_id});
  auto& backups = of_service[service_id];
  for (;;) {
    const auto turn = model::next_verification(backups, policy_, now);
    if (turn.backup_id.empty()) {
      turns.set(service_id, turn.next);
      return false;
    }
    const auto backup = std::ranges::find(backups, turn.backup_id, &model::Backup::id);
    if (is_verifiable(tx, service, *backup)) {
      enqueue_verification(tx, queue_, *backup, kPolicyLane);
      turns.set(service_id, now + kWhileOpen);
      return true;
    }
    backups.erase(backup);
  }
}

bool VerificationSchedule::is_verifiable(metadata::Transaction& tx, const model::Service& service,
                                         const model::Backup& backup) {
  const auto instance = metadata::Instances(tx).find(backup.instance_id);
  return instance && !providers_.of_kind(service.provider.kind).verification_problem(*instance, backup);
}

}  // namespace backstay::control
