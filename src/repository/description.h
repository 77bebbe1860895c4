// Private to repository: backstay.json, the one object in clear text, and how it is proven unchanged.
#pragma once

#include <string>

#include "core/json.h"
#include "repository/keys.h"

namespace backstay::repository::detail {

inline constexpr std::string_view kDescriptionKey = "backstay.json";

/// The field "check" of a description: over its other fields, so that no bit of it can change unseen.
std::string description_check(const DataKey& data_key, const core::json::object& description);

/// Throws Error(corrupt_data) unless the bytes are a description with exactly the fields of this version and the check
/// that belongs to them. One that was made before there was a check has none: false.
bool check_description(const DataKey& data_key, core::ByteSpan bytes);

}  // namespace backstay::repository::detail
