// A verification as an operation. It says what a restore of the backup has shown, or why none could be made.
#include <fmt/format.h>

#include "control/body_loader.h"
#include "control/operation_work.h"
#include "control/retention_schedule.h"
#include "control/service_operations.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/services.h"
#include "metadata/verification_turns.h"

namespace backstay::control {
namespace {

using model::Verification;
using model::VerificationOutcome;

std::string backup_of(const model::Operation& operation) {
  return core::require_string(operation.request, "backupId", "/request");
}

struct Loaded {
  model::Backup backup;
  ServiceBody body;
  /// The user of the copy's server; 0 where all share ours.
  std::uint32_t uid = 0;
};

Loaded load(const WorkDependencies& deps, const model::Operation& operation) {
  return deps.database.write([&](auto& tx) {
    Loaded loaded;
    loaded.backup = metadata::Backups(tx).require(backup_of(operation));
    const auto service = metadata::Services(tx).require(operation.service_id);
    loaded.body = load_body(tx, service, loaded.backup.instance_id);
    loaded.body.backups = load_target(tx, loaded.backup.destination_id, service.team_id);
    if (deps.first_uid != 0) {
      auto& provider = deps.providers.of_kind(service.provider.kind);
      const auto node = loaded.body.instance.node;
      loaded.uid = static_cast<std::uint32_t>(metadata::Allocations(tx).allocate_in_turn(
          "uid", node, operation.id, deps.first_uid, deps.last_uid,
          [&](std::int64_t uid) { return provider.user_usable(static_cast<std::uint32_t>(uid)); }));
    }
    if (operation.attempts <= 1) {
      deps.events.record(tx, service, events::kBackupVerificationStarted,
                         "a backup is being restored to a place of its own, to see that it works",
                         {{"backup.id", loaded.backup.id}, {"operation.id", operation.id}});
    }
    return loaded;
  });
}

/// What is known of it from now on, and when the next one has its turn. False if the backup's record has gone.
bool note(core::Clock& clock, metadata::Transaction& tx, const model::Operation& operation, const Verification& seen) {
  metadata::Allocations(tx).release_all(operation.id);
  auto backup = metadata::Backups(tx).find(backup_of(operation));
  metadata::VerificationTurns(tx).set(backup ? backup->service_id : operation.service_id, clock.now());
  if (!backup) return false;
  backup->verification = seen;
  // Set once and for all that it was seen: a later failure is told beside it, and counts.
  if (seen.outcome == VerificationOutcome::kVerified) backup->verified_at = seen.at;
  metadata::Backups(tx).update(*backup);
  return true;
}

Verification in_words(const VerifiedRestore& found, core::Timestamp now) {
  Verification seen;
  seen.outcome = found.problem.empty() ? VerificationOutcome::kVerified : VerificationOutcome::kFailed;
  seen.at = now;
  seen.problem = found.problem;
  seen.next_step = found.next_step;
  seen.first_query_time = found.first_query_time;
  seen.recovery_time = found.recovery_time;
  seen.checks = found.checks;
  return seen;
}

void verify(const WorkDependencies& deps, StepContext& context) {
  const auto& operation = context.operation();
  const auto [backup, body, uid] = load(deps, operation);
  const auto found = provider_of(deps, body).verify_backup(body, backup, uid, context);
  const auto seen = in_words(found, deps.clock.now());
  const std::map<std::string, std::string> ids{{"backup.id", backup.id}, {"operation.id", operation.id}};
  deps.database.write([&](auto& tx) {
    if (!note(deps.clock, tx, operation, seen)) {
      throw core::Error(core::Code::kNotFound,
                        fmt::format("the backup '{}' was removed while it was verified", backup.id));
    }
    if (seen.outcome == VerificationOutcome::kVerified) {
      deps.events.record(tx, body.service, events::kBackupVerified,
                         fmt::format("a restore of the backup works: it answers after {} and serves after {}",
                                     core::format_duration(seen.first_query_time.value_or(core::Duration(0))),
                                     core::format_duration(seen.recovery_time.value_or(core::Duration(0)))),
                         ids);
    } else {
      // What goes must not be decided as if it were good.
      hurry_retention(tx, backup.service_id, deps.clock.now());
      deps.events.record(tx, body.service, events::kBackupVerificationFailed,
                         fmt::format("{}; {}", seen.problem, seen.next_step), ids);
    }
  });
  if (seen.outcome == VerificationOutcome::kFailed) {
    throw core::Error(core::Code::kVerificationFailed, seen.problem).with_hint(seen.next_step);
  }
  context.result()["backupId"] = backup.id;
  context.result()["checks"] = seen.checks;
}

/// Nothing is known of the backup. It is told once, however often that comes again. Throws nothing of its own: the
/// operation has to end.
void note_not_run(const NoteDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                  const std::string& reason, const std::string& next_step) {
  const auto backup = metadata::Backups(tx).find(backup_of(operation));
  auto seen = backup ? backup->verification.value_or(Verification{}) : Verification{};
  const bool again = seen.not_run_at.has_value();
  seen.not_run_at = deps.clock.now();
  if (seen.outcome == VerificationOutcome::kNotRun) {
    seen.at = *seen.not_run_at;
    seen.problem = reason;
    seen.next_step = next_step;
  }
  if (!note(deps.clock, tx, operation, seen) || again) return;
  const auto service = metadata::Services(tx).find(operation.service_id);
  if (!service) return;
  deps.events.record(tx, *service, events::kBackupVerificationNotRun, fmt::format("{}; {}", reason, next_step),
                     {{"backup.id", backup->id}, {"operation.id", operation.id}});
}

}  // namespace

void note_verification_cancelled(const NoteDependencies& deps, metadata::Transaction& tx,
                                 const model::Operation& operation) {
  note_not_run(deps, tx, operation, "the verification was cancelled", "it is tried again later, or ask for it");
}

OperationKind verify_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.max_failures = 2;
  kind.steps = {{"verify", [deps](StepContext& context) { verify(deps, context); }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    if (error.code() == core::Code::kVerificationFailed) return;
    note_not_run({deps.events, deps.clock}, tx, operation, error.message(), error.hint());
  };
  kind.on_cancelled = [deps](auto& tx, const auto& operation) {
    note_cancelled({deps.events, deps.clock}, tx, operation);
  };
  return kind;
}

}  // namespace backstay::control
