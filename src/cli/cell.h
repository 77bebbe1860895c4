// A field of an answer as text.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace backstay::cli {

/// Texts as they are, booleans as yes and no, other values as JSON, nothing for null or absent.
std::string cell(const core::json::value& answer, std::string_view key);
/// A number of bytes for people; nothing if the field is absent or no number.
std::string bytes_cell(const core::json::value& answer, std::string_view key);

}  // namespace backstay::cli
