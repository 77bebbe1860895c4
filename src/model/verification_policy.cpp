#include "model/verification_policy.h"

#include <algorithm>

namespace backstay::model {
namespace {

bool is_candidate(const Backup& backup) {
  return backup.state == BackupState::kCompleted && backup.confirmed_at && backup.taken_at &&
         backup.mechanism == BackupMechanism::kPhysical;
}

/// The last time that something was learnt, and the last attempt that taught nothing.
struct Past {
  std::optional<core::Timestamp> seen;
  std::optional<core::Timestamp> not_run;
};

Past past_of(const std::vector<Backup>& backups) {
  Past past;
  for (const auto& backup : backups) {
    const auto& last = backup.verification;
    if (!last) continue;
    past.not_run = std::max(past.not_run, last->not_run_at);
    if (last->outcome != VerificationOutcome::kNotRun) past.seen = std::max(past.seen, std::optional(last->at));
  }
  return past;
}

bool count_is_reached(const std::vector<Backup>& backups, const Past& past, std::int64_t nth) {
  if (nth == 0) return false;
  return std::ranges::count_if(backups, [&](const Backup& backup) {
           return is_candidate(backup) && (!past.seen || *backup.confirmed_at > *past.seen);
         }) >= nth;
}

std::optional<core::Timestamp> due_at(const std::vector<Backup>& backups, const Past& past,
                                      const VerificationPolicy& policy, core::Timestamp now) {
  std::optional<core::Timestamp> due;
  if (count_is_reached(backups, past, policy.nth)) due = now;
  if (policy.every > core::Duration(0)) {
    const auto by_age = past.seen ? *past.seen + policy.every : now;
    due = due ? std::min(*due, by_age) : by_age;
  }
  if (due && past.not_run) due = std::max(*due, *past.not_run + kVerifyAgain);
  return due;
}

}  // namespace

VerificationTurn next_verification(const std::vector<Backup>& backups, const VerificationPolicy& policy,
                                   core::Timestamp now) {
  const Backup* newest = nullptr;
  for (const auto& backup : backups) {
    if (!is_candidate(backup)) continue;
    if (newest == nullptr || *backup.taken_at > *newest->taken_at) newest = &backup;
  }
  if (newest == nullptr) return {};
  const auto due = due_at(backups, past_of(backups), policy, now);
  if (!due) return {};
  if (*due > now) return {.next = due};
  return {.backup_id = newest->id};
}

}  // namespace backstay::model
