// Backups as Cloudheed's clients see them.
#pragma once

#include <string_view>

#include "core/json.h"
#include "model/backup.h"

namespace backstay::api::cloudheed {

core::json::object backup_schema();
/// pending, in_progress, completed or failed: completed is what was read back from the store.
std::string_view backup_status(const model::Backup& backup);
/// `retention_days`: of the database, for those that it decides on.
core::json::object backup_object(const model::Backup& backup, std::int64_t retention_days);

}  // namespace backstay::api::cloudheed
