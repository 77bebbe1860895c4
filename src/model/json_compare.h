// JSON values as JSON Schema compares them: 1 equals 1.0, and the order of an object's keys means nothing.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace backstay::model {

/// A text that two values share exactly if they are equal.
std::string canonical_text(const core::json::value& value);
bool is_number(const core::json::value& value);
/// True for 1, and for 1.0.
bool is_integer(const core::json::value& value);
/// Holds every int64, uint64 and double exactly.
long double as_number(const core::json::value& value);
/// Number of Unicode code points of a UTF-8 text.
std::size_t code_points(std::string_view text);

}  // namespace backstay::model
