// The part of PostgresqlArchives that removes backups, WAL and garbage.
#include "backup/retention.h"
#include "core/error.h"
#include "providers/postgresql_archives.h"

namespace backstay::providers {
namespace {

repository::PruneRequest request_of(const control::RemovalTerms& terms) {
  repository::PruneRequest request;
  request.grace = terms.grace;
  request.ended = terms.ended;
  return request;
}

/// Where nothing was ever stored, the rule has nothing to remove.
control::RetentionOutcome without_repository(const model::RetentionQuestion& question,
                                             const control::RemovalTerms& terms) {
  control::RetentionOutcome outcome{.decision = model::decide_retention(question), .empty = true};
  if (terms.decided) terms.decided(question, outcome.decision);
  for (const auto& verdict : outcome.decision.backups) {
    if (verdict.goes) outcome.gone.insert(verdict.backup_id);
  }
  return outcome;
}

}  // namespace

std::shared_ptr<repository::Repository> PostgresqlArchives::find_repository(const control::BackupTarget& at,
                                                                            std::stop_token stop) {
  try {
    return repositories_.open_own(at, std::move(stop));
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kNotFound) throw;
    return nullptr;
  }
}

control::RetentionOutcome PostgresqlArchives::apply_retention(const control::BackupTarget& at,
                                                              const model::RetentionQuestion& question,
                                                              const control::RemovalTerms& terms,
                                                              std::stop_token stop) {
  const auto repository = find_repository(at, stop);
  if (!repository) return without_repository(question, terms);
  auto done = backup::apply_retention(*repository, question, request_of(terms), std::move(stop), terms.decided);
  return {.decision = std::move(done.decision),
          .condemned = std::move(done.report.backups_condemned),
          .gone = std::move(done.gone),
          .empty = done.empty};
}

bool PostgresqlArchives::remove_garbage(const control::BackupTarget& at, const control::RemovalTerms& terms,
                                        std::stop_token stop) {
  const auto repository = find_repository(at, stop);
  if (!repository) return true;
  repository::prune(*repository, request_of(terms), std::move(stop));
  return repository::is_empty(*repository);
}

}  // namespace backstay::providers
