#include "model/backup.h"

#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<BackupMechanism, 2> kMechanisms{
    {{BackupMechanism::kPhysical, "physical"}, {BackupMechanism::kLogical, "logical"}}};
constexpr Words<BackupOrigin, 4> kOrigins{{{BackupOrigin::kScheduled, "scheduled"},
                                           {BackupOrigin::kManual, "manual"},
                                           {BackupOrigin::kFinal, "final"},
                                           {BackupOrigin::kSafety, "safety"}}};
constexpr Words<BackupState, 7> kStates{{{BackupState::kScheduled, "scheduled"},
                                         {BackupState::kRunning, "running"},
                                         {BackupState::kCompleted, "completed"},
                                         {BackupState::kFailed, "failed"},
                                         {BackupState::kDeleting, "deleting"},
                                         {BackupState::kDeleted, "deleted"},
                                         {BackupState::kLost, "lost"}}};

}  // namespace

std::string_view to_text(BackupMechanism mechanism) { return word_of(kMechanisms, mechanism); }
std::string_view to_text(BackupOrigin origin) { return word_of(kOrigins, origin); }
std::string_view to_text(BackupState state) { return word_of(kStates, state); }

BackupMechanism backup_mechanism_from_text(std::string_view text) {
  return value_of(kMechanisms, text, "backup mechanism");
}
BackupOrigin backup_origin_from_text(std::string_view text) { return value_of(kOrigins, text, "backup origin"); }
BackupState backup_state_from_text(std::string_view text) { return value_of(kStates, text, "backup state"); }

bool may_change(BackupState from, BackupState to) {
  if (from == to) return true;
  switch (from) {
    case BackupState::kScheduled:
      return to == BackupState::kRunning || to == BackupState::kFailed || to == BackupState::kDeleting;
    case BackupState::kRunning:
      return to == BackupState::kCompleted || to == BackupState::kFailed || to == BackupState::kScheduled;
    case BackupState::kCompleted: return to == BackupState::kDeleting || to == BackupState::kLost;
    case BackupState::kFailed: return to == BackupState::kDeleting;
    case BackupState::kLost: return to == BackupState::kDeleted;
    // Back: whoever holds it does not let it go.
    case BackupState::kDeleting: return to == BackupState::kDeleted || to == BackupState::kCompleted;
    case BackupState::kDeleted: return false;
  }
  return false;
}

bool is_sound(const Backup& backup) {
  const auto& seen = backup.verification;
  return backup.confirmed_at && !(seen && seen->outcome == VerificationOutcome::kFailed);
}

}  // namespace backstay::model
