// A backup as Guidewire's clients know it.
#pragma once

#include <string>

#include "control/queries.h"
#include "core/json.h"
#include "model/backup.h"

namespace backstay::api::guidewire {

/// `service`: whose it is.
core::json::object backup_resource(const model::Backup& backup, const control::ServiceName& service,
                                   const std::string& tenant);
/// The schema of that.
core::json::object backup_schema();

}  // namespace backstay::api::guidewire
