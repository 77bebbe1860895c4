// From the retention's rule to what a prune removes, and back: the records of a repository as the rule sees them.
#pragma once

#include <functional>
#include <set>
#include <stop_token>
#include <string>

#include "model/retention.h"
#include "repository/prune.h"
#include "repository/repository.h"

namespace backstay::backup {

/// With the stamps of the server, of who wrote the record, and of the store; one request.
model::RetainedBackup as_retained(repository::Repository& repository, const repository::BackupRecord& record);

/// Adds what may go to the request.
void add_to(repository::PruneRequest& request, const model::RetentionDecision& decision);

struct RetentionOutcome {
  model::RetentionDecision decision;
  repository::PruneReport report;
  /// Backups of the question of which nothing is stored (any more).
  std::set<std::string> gone;
  /// Nothing of the question's instances is stored (any more).
  bool empty = false;
};

/// Hears of the question, the store's clock and stamps added, and of the decision; see control::RemovalTerms.
using RetentionListener = std::function<void(const model::RetentionQuestion&, const model::RetentionDecision&)>;

/// Applies the rule to a service whose backups the caller knows better than the repository (pins, expiries, deletions
/// that were asked for): `question` has the caller's clock and stamps; those of the store are added. The run looks at
/// the question's instances only, and never for garbage among the packs: `options` gives `ended`, `grace` and
/// `dry_run`. May be repeated at any time; what was begun before is completed. `decided` is called before anything is
/// condemned; what it throws leaves the store as it was.
RetentionOutcome apply_retention(repository::Repository& repository, model::RetentionQuestion question,
                                 repository::PruneRequest options, std::stop_token stop,
                                 const RetentionListener& decided = {});

}  // namespace backstay::backup
