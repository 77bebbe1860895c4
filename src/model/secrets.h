// Named secrets of an object.
#pragma once

#include <map>
#include <string>

#include "core/json.h"
#include "core/secret.h"

namespace backstay::model {

using Secrets = std::map<std::string, core::Secret>;

/// The secrets as a JSON object of strings, for sealing and for schema checks only: the result is in clear.
core::json::object reveal_all(const Secrets& secrets);
/// Reads an object of strings; throws Error(invalid_argument) with a field below `pointer` for any other value.
Secrets secrets_from_json(const core::json::object& object, std::string_view pointer = "");

}  // namespace backstay::model
