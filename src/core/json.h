// JSON: Boost.JSON with errors that name the place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace backstay::core {

namespace json = boost::json;

/// Parses one document, at most 64 levels deep, duplicate keys keep the last. Throws Error(malformed_json) with the
/// position.
json::value parse_json(std::string_view text);
std::string to_text(const json::value& value);
/// Two-space indentation, for files and terminals that people read.
std::string to_pretty_text(const json::value& value);

/// Field access in an object. `pointer` is the JSON Pointer of the object itself, for messages.
/// find_*: nothing if the key is absent or null; all throw Error(invalid_argument) with a field for a wrong type.
std::optional<std::string> find_string(const json::object& object, std::string_view key, std::string_view pointer = "");
std::optional<std::int64_t> find_int(const json::object& object, std::string_view key, std::string_view pointer = "");
std::optional<bool> find_bool(const json::object& object, std::string_view key, std::string_view pointer = "");
const json::object* find_object(const json::object& object, std::string_view key, std::string_view pointer = "");
const json::array* find_array(const json::object& object, std::string_view key, std::string_view pointer = "");
/// require_*: the same, and absence is an error too.
std::string require_string(const json::object& object, std::string_view key, std::string_view pointer = "");
std::int64_t require_int(const json::object& object, std::string_view key, std::string_view pointer = "");
const json::object& require_object(const json::object& object, std::string_view key, std::string_view pointer = "");
/// The value as an object, or Error(invalid_argument).
const json::object& as_object(const json::value& value, std::string_view pointer = "");

/// Appends a key to a JSON Pointer, escaping "~" and "/".
std::string pointer_to(std::string_view pointer, std::string_view key);

}  // namespace backstay::core
