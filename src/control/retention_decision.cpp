#include "control/retention_decision.h"

#include <algorithm>
#include <map>

#include "control/retention_question.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

/// Nothing if the service or its part in the place is gone.
std::optional<model::RetentionQuestion> ask_anew(metadata::Transaction& tx, const std::string& service_id,
                                                 const std::string& destination_id,
                                                 const model::RetentionQuestion& asked) {
  const auto service = metadata::Services(tx).find(service_id);
  if (!service) return std::nullopt;
  auto cases = retention_cases(tx, *service, asked.now.front());
  const auto place = std::ranges::find(cases, destination_id, &RetentionCase::destination_id);
  if (place == cases.end()) return std::nullopt;
  auto question = std::move(place->question);
  question.now = asked.now;
  for (auto& backup : question.backups) {
    const auto known = std::ranges::find(asked.backups, backup.id, &model::RetainedBackup::id);
    if (known == asked.backups.end()) continue;
    backup.stamps.insert(backup.stamps.end(), known->stamps.begin(), known->stamps.end());
  }
  return question;
}

/// What has no row any more went with an earlier run.
bool still_goes(const model::BackupVerdict& verdict, const model::RetentionDecision& now) {
  const auto found = std::ranges::find(now.backups, verdict.backup_id, &model::BackupVerdict::backup_id);
  return found == now.backups.end() || found->goes;
}

bool holds(const model::RetentionDecision& decision, const model::RetentionDecision& now) {
  return decision.wal == now.wal && decision.finished == now.finished &&
         std::ranges::all_of(decision.backups,
                             [&](const auto& verdict) { return !verdict.goes || still_goes(verdict, now); });
}

}  // namespace

std::set<std::string> write_decision(metadata::Transaction& tx, const model::RetentionDecision& decision) {
  metadata::Backups backups(tx);
  std::set<std::string> written;
  for (const auto& verdict : decision.backups) {
    if (!verdict.goes) continue;
    auto backup = backups.find(verdict.backup_id);
    if (!backup || backup->state == model::BackupState::kDeleting) continue;
    backup->state = model::BackupState::kDeleting;
    backup->removal_reason = verdict.reason;
    backups.update(*backup);
    written.insert(backup->id);
  }
  return written;
}

void settle_decision(metadata::Transaction& tx, const std::string& service_id, const std::string& destination_id,
                     const model::RetentionQuestion& asked, const model::RetentionDecision& decision) {
  const auto question = ask_anew(tx, service_id, destination_id, asked);
  if (!question || !holds(decision, model::decide_retention(*question))) {
    throw core::Error(core::Code::kNotYet, "backups were changed while it was decided which of them go");
  }
  write_decision(tx, decision);
}

}  // namespace backstay::control
