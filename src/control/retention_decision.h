// What retention has decided, written into the state before any store hears of it: from then on nobody can pin, change
// or recover what goes, and a run that fails midway is completed by the next one.
#pragma once

#include <set>
#include <string>

#include "core/time.h"
#include "metadata/database.h"
#include "model/retention.h"
#include "model/service.h"

namespace backstay::control {

/// Makes kDeleting, with its reason, whatever goes; the ids of those that were not yet.
std::set<std::string> write_decision(metadata::Transaction& tx, const model::RetentionDecision& decision);

/// The same once the question has been asked anew from the state as it is now, with the clocks and stamps of `asked`.
/// Throws Error(not_yet), and writes nothing, if something that was to go would stay now: a pin, an expiry, a deletion
/// or a change of settings came in between.
void settle_decision(metadata::Transaction& tx, const std::string& service_id, const std::string& destination_id,
                     const model::RetentionQuestion& asked, const model::RetentionDecision& decision);

}  // namespace backstay::control
