// What retention is asked of a service: its backups and instances as the state knows them, and who else needs them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/time.h"
#include "metadata/database.h"
#include "model/retention.h"
#include "model/service.h"

namespace backstay::control {

/// The part of a service's backups that is in one place; the rule is applied to each by itself, so that a place that
/// is used no more keeps what times of then need.
struct RetentionCase {
  std::string destination_id;
  model::RetentionQuestion question;
  /// Backups whose attempts are over although something of them may have been left behind.
  std::set<std::string> ended;
};

/// One for each place that the service's backups were ever sent to. `now` is this machine's clock.
std::vector<RetentionCase> retention_cases(metadata::Transaction& tx, const model::Service& service,
                                           core::Timestamp now);

/// The one of backups that have no place of their own here, as those of what runs elsewhere.
RetentionCase retention_case_elsewhere(metadata::Transaction& tx, const model::Service& service, core::Timestamp now);

/// Attempts at this place that are over without success.
std::set<std::string> ended_attempts(metadata::Transaction& tx, const std::string& destination_id);

}  // namespace backstay::control
