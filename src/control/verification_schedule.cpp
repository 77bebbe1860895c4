#include "control/verification_schedule.h"

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

}  // namespace

void hurry_verification(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now) {
  metadata::VerificationTurns(tx).set(service_id, now);
}

void VerificationSchedule::tick() {
  const auto now = clock_.now();
  const bool any = database_.read([&](auto& tx) {
    return !metadata::VerificationTurns(tx).due(server_, now, 1).empty() && open_verifications(tx).empty();
  });
  if (!any) return;
  const bool entered = database_.write([&](auto& tx) {
    if (!open_verifications(tx).empty()) return false;
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
  const auto backups = metadata::Backups(tx).list_of({service_id});
  const auto found = backups.find(service_id);
  const auto turn =
      found == backups.end() ? model::VerificationTurn{} : model::next_verification(found->second, policy_, now);
  if (turn.backup_id.empty()) {
    turns.set(service_id, turn.next);
    return false;
  }
  const auto backup = metadata::Backups(tx).require(turn.backup_id);
  const auto instance = metadata::Instances(tx).find(backup.instance_id);
  if (!instance || providers_.of_kind(service.provider.kind).verification_problem(*instance, backup)) {
    turns.set(service_id, std::nullopt);
    return false;
  }
  enqueue_verification(tx, queue_, backup);
  turns.set(service_id, now + kWhileOpen);
  return true;
}

}  // namespace backstay::control
