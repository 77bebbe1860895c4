// The formats of texts and numbers that schemas may ask for.
#pragma once

#include <string_view>

#include "core/json.h"

namespace backstay::model {

/// byte binary date date-time double float hostname int32 int64 password uri uuid
bool is_known_format(std::string_view format);
/// True if the value has the format; values of a type that the format does not speak of have it.
bool has_format(const core::json::value& value, std::string_view format);

}  // namespace backstay::model
