// JSON Schemas of Lnchr's bodies and answers.
#pragma once

#include <string_view>
#include <vector>

#include "core/json.h"

namespace backstay::api::lnchr {

/// A request's fields may be null, which counts as absent; what is not described is ignored.
core::json::object create_destination_schema();
core::json::object change_destination_schema();
core::json::object create_database_schema();
core::json::object change_database_schema();
core::json::object take_backup_schema();
core::json::object restore_schema();
core::json::object restore_into_schema();
core::json::object pitr_schema();
core::json::object pitr_clone_schema();
core::json::object switch_schema();
core::json::object create_schedule_schema();
core::json::object change_schedule_schema();

core::json::object destination_schema();
core::json::object database_schema();
core::json::object backup_schema();
core::json::object window_schema();
core::json::object schedule_schema();

/// Parts of the above.
core::json::object text_schema();
core::json::object uuid_schema();
core::json::object time_schema();
core::json::object object_schema(const core::json::object& properties, const std::vector<std::string_view>& required);

}  // namespace backstay::api::lnchr
