// Removing old backups that a backend elsewhere holds: there is no store here that a retention could look at.
#pragma once

#include "control/operation_kind.h"
#include "control/service_operations.h"

namespace backstay::control {

/// Has the backend remove what the rule lets go, and forgets it. What it will never remove is told, and forgotten too
/// once the service's record has expired; else the error is thrown.
void apply_retention_elsewhere(const WorkDependencies& deps, StepContext& context, const model::Service& service);

}  // namespace backstay::control
