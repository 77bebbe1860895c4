// A recovery plan as the control plane keeps it between its admission and its work.
#pragma once

#include <string>

#include "backup/recovery_window.h"
#include "core/json.h"

namespace backstay::providers {

core::json::object plan_to_json(const backup::RecoveryPlan& plan);
/// The base's record is read from the repository again. Throws Error(not_found) if it is gone.
backup::RecoveryPlan plan_from_json(const core::json::object& facts, const repository::Repository& repository);
/// For people: what is restored and how far.
std::string describe(const backup::RecoveryPlan& plan);

}  // namespace backstay::providers
