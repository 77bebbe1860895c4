// What the steps of several kinds of operations share.
#pragma once

#include <string>

#include "control/operation_kind.h"
#include "control/provider.h"
#include "control/service_operations.h"

namespace backstay::control {

/// The id in the operation's request. Throws Error(invalid_argument).
std::string instance_of(const model::Operation& operation);
/// The service as it is now and the instance that the operation speaks of.
ServiceBody body_of(const WorkDependencies& deps, const model::Operation& operation);
Provider& provider_of(const WorkDependencies& deps, const ServiceBody& body);
/// Ends what runs beside the instance, the operation's or the one named, and removes it.
void destroy_instance(const WorkDependencies& deps, StepContext& context);
void destroy_instance(const WorkDependencies& deps, StepContext& context, const std::string& instance_id);

/// The two halves of a backup, the one that the operation's request names; see backup_operation.cpp.
void take_backup(const WorkDependencies& deps, StepContext& context);
void confirm_backup(const WorkDependencies& deps, StepContext& context);

/// Of a verification, also one that never began: nothing is known, and it is tried again.
void note_verification_cancelled(const NoteDependencies& deps, metadata::Transaction& tx,
                                 const model::Operation& operation);

}  // namespace backstay::control
