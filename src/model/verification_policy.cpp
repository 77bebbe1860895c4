#include "model/verification_policy.h"

#include <algorithm>

namespace backstay::model {
namespace {

/// The last time that something was learnt, and the last attempt that taught nothing.
struct Past {
  std::optional<core::Timestamp> seen;
  std::optional<core::Timestamp> not_run;
};

/// The backups of one service that were taken in one way, and read back whole.
class OfMechanism {
 public:
  OfMechanism(const std::vector<Backup>& backups, BackupMechanism mechanism) : mechanism_(mechanism) {
    for (const auto& backup : backups) {
      if (backup.mechanism == mechanism) note(backup);
    }
  }

  [[nodiscard]] VerificationTurn turn(const VerificationPolicy& policy, core::Timestamp now) const {
    if (newest_ == nullptr || is_settled()) return {};
    const auto due = due_at(policy, now);
    if (!due) return {};
    if (*due > now) return {.next = due};
    return {.backup_id = newest_->id};
  }

 private:
  void note(const Backup& backup) {
    if (backup.state == BackupState::kCompleted && backup.confirmed_at && backup.taken_at) {
      candidates_.push_back(&backup);
      if (newest_ == nullptr || *backup.taken_at > *newest_->taken_at) newest_ = &backup;
    }
    const auto& last = backup.verification;
    if (!last) return;
    past_.not_run = std::max(past_.not_run, last->not_run_at);
    if (last->outcome != VerificationOutcome::kNotRun) past_.seen = std::max(past_.seen, std::optional(last->at));
  }

  /// A dump becomes no other one with time, and may be the only one ever; of a cluster the WAL goes on.
  [[nodiscard]] bool is_settled() const {
    const auto& last = newest_->verification;
    return mechanism_ == BackupMechanism::kLogical && last && last->outcome != VerificationOutcome::kNotRun;
  }

  [[nodiscard]] bool count_is_reached(std::int64_t nth) const {
    if (nth == 0) return false;
    return std::ranges::count_if(candidates_, [&](const Backup* backup) {
             return !past_.seen || *backup->confirmed_at > *past_.seen;
           }) >= nth;
  }

  [[nodiscard]] std::optional<core::Timestamp> due_at(const VerificationPolicy& policy, core::Timestamp now) const {
    std::optional<core::Timestamp> due;
    if (count_is_reached(policy.nth)) due = now;
    if (policy.every > core::Duration(0)) {
      const auto by_age = past_.seen ? *past_.seen + policy.every : now;
      due = due ? std::min(*due, by_age) : by_age;
    }
    if (due && past_.not_run) due = std::max(*due, *past_.not_run + kVerifyAgain);
    return due;
  }

  const BackupMechanism mechanism_;
  std::vector<const Backup*> candidates_;
  const Backup* newest_ = nullptr;
  Past past_;
};

}  // namespace

VerificationTurn next_verification(const std::vector<Backup>& backups, const VerificationPolicy& policy,
                                   core::Timestamp now) {
  auto turn = OfMechanism(backups, BackupMechanism::kPhysical).turn(policy, now);
  if (!turn.backup_id.empty()) return turn;
  auto of_dumps = OfMechanism(backups, BackupMechanism::kLogical).turn(policy, now);
  if (!of_dumps.backup_id.empty()) return of_dumps;
  if (!turn.next || (of_dumps.next && *of_dumps.next < *turn.next)) return of_dumps;
  return turn;
}

}  // namespace backstay::model
