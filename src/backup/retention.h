// From the retention's rule to what a prune removes, and back: the records of a repository as the rule sees them.
#pragma once

#include "model/retention.h"
#include "repository/prune.h"
#include "repository/repository.h"

namespace backstay::backup {

/// With the stamps of the server, of who wrote the record, and of the store; one request.
model::RetainedBackup as_retained(repository::Repository& repository, const repository::BackupRecord& record);

/// Adds what may go to the request.
void add_to(repository::PruneRequest& request, const model::RetentionDecision& decision);

}  // namespace backstay::backup
