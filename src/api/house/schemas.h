// The components of the house API's document: every body that goes in or out, as JSON Schema.
#pragma once

#include "core/json.h"

namespace backstay::api::house {

/// All of them, by name.
core::json::object component_schemas();

/// The groups that make them up: what Codesphere's contract has, and what Backstay adds.
core::json::object contract_schemas();
core::json::object own_schemas();
core::json::object webhook_schemas();
core::json::object schedule_schemas();
core::json::object import_schemas();
core::json::object account_schemas();
core::json::object recovery_schemas();

}  // namespace backstay::api::house
