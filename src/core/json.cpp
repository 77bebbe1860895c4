#include "core/json.h"

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::core {
namespace {

[[noreturn]] void wrong_type(std::string_view pointer, std::string_view key, std::string_view wanted) {
  const std::string at = pointer_to(pointer, key);
  const std::string message = fmt::format("must be {}", wanted);
  throw Error(Code::kInvalidArgument, fmt::format("{} {}", at, message)).with_field(at, message);
}

[[noreturn]] void absent(std::string_view pointer, std::string_view key) {
  const std::string at = pointer_to(pointer, key);
  throw Error(Code::kInvalidArgument, fmt::format("{} is required", at)).with_field(at, "is required");
}

const json::value* find(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void write_pretty(std::string& out, const json::value& value, std::size_t indent) {
  const std::string pad(indent + 2, ' ');
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    for (bool first = true; const auto& [key, item] : *object) {
      if (!std::exchange(first, false)) out += ",\n";
      out += pad + json::serialize(json::string(key)) + ": ";
      write_pretty(out, item, indent + 2);
    }
    out += "\n" + std::string(indent, ' ') + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    out += "[\n";
    for (bool first = true; const auto& item : *array) {
      if (!std::exchange(first, false)) out += ",\n";
      out += pad;
      write_pretty(out, item, indent + 2);
    }
    out += "\n" + std::string(indent, ' ') + "]";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

json::value parse_json(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  json::stream_parser parser({}, options);
  const std::size_t read = parser.write_some(text, error);
  if (!error && read == text.size()) parser.finish(error);
  if (!error && read != text.size()) error = json::error::extra_data;
  if (error) {
    throw Error(Code::kMalformedJson,
                fmt::format("the JSON is not well-formed near byte {}: {}", read, error.message()));
  }
  return parser.release();
}

std::string to_text(const json::value& value) { return json::serialize(value); }

std::string to_pretty_text(const json::value& value) {
  std::string out;
  write_pretty(out, value, 0);
  return out;
}

std::optional<std::string> find_string(const json::object& object, std::string_view key, std::string_view pointer) {
  const json::value* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(pointer, key, "a string");
  return std::string(value->get_string());
}

std::optional<std::int64_t> find_int(const json::object& object, std::string_view key, std::string_view pointer) {
  const json::value* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  if (error) wrong_type(pointer, key, "an integer");
  return number;
}

std::optional<bool> find_bool(const json::object& object, std::string_view key, std::string_view pointer) {
  const json::value* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) wrong_type(pointer, key, "true or false");
  return value->get_bool();
}

const json::object* find_object(const json::object& object, std::string_view key, std::string_view pointer) {
  const json::value* value = find(object, key);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) wrong_type(pointer, key, "an object");
  return &value->get_object();
}

const json::array* find_array(const json::object& object, std::string_view key, std::string_view pointer) {
  const json::value* value = find(object, key);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) wrong_type(pointer, key, "an array");
  return &value->get_array();
}

std::string require_string(const json::object& object, std::string_view key, std::string_view pointer) {
  auto value = find_string(object, key, pointer);
  if (!value) absent(pointer, key);
  return *std::move(value);
}

std::int64_t require_int(const json::object& object, std::string_view key, std::string_view pointer) {
  const auto value = find_int(object, key, pointer);
  if (!value) absent(pointer, key);
  return *value;
}

const json::object& require_object(const json::object& object, std::string_view key, std::string_view pointer) {
  const json::object* value = find_object(object, key, pointer);
  if (value == nullptr) absent(pointer, key);
  return *value;
}

const json::object& as_object(const json::value& value, std::string_view pointer) {
  if (!value.is_object()) {
    throw Error(Code::kInvalidArgument, fmt::format("{} must be an object", pointer.empty() ? "the body" : pointer))
        .with_field(std::string(pointer), "must be an object");
  }
  return value.get_object();
}

std::string pointer_to(std::string_view pointer, std::string_view key) {
  std::string out(pointer);
  out += '/';
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace backstay::core
