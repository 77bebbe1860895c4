// What Backstay reads in schemas besides validation: defaults and update constraints.
#include <algorithm>

#include "core/text.h"
#include "model/json_compare.h"
#include "model/json_schema.h"

namespace backstay::model {

namespace json = core::json;

json::object with_defaults(const json::object& schema, json::object value) {
  const json::object* properties = core::find_object(schema, "properties");
  if (properties == nullptr) return value;
  for (const auto& [name, property] : *properties) {
    const json::object* described = property.if_object();
    if (described == nullptr) continue;
    if (json::value* present = value.if_contains(name)) {
      if (present->is_object()) *present = with_defaults(*described, std::move(present->get_object()));
    } else if (const json::value* fallback = described->if_contains("default")) {
      value[name] = *fallback;
    }
  }
  return value;
}

namespace {

std::string plain_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : core::to_text(value);
}

/// "17.6" to {17, 6}; empty for what is not a dotted version.
std::vector<std::int64_t> version_parts(const json::value& value) {
  std::vector<std::int64_t> parts;
  for (const auto& part : core::split(plain_text(value), '.')) {
    const auto number = core::parse_int(part);
    if (!number) return {};
    parts.push_back(*number);
  }
  return parts;
}

bool is_minor_upgrade(const json::value& before, const json::value& after) {
  const auto from = version_parts(before);
  const auto to = version_parts(after);
  return !from.empty() && !to.empty() && from[0] == to[0] && (to.size() == 1 || from <= to);
}

/// A numeric setting may come as a text.
std::optional<long double> number_in(const json::value& value) {
  if (is_number(value)) return as_number(value);
  if (!value.is_string()) return std::nullopt;
  const auto number = core::parse_int(value.get_string());
  return number ? std::optional<long double>(static_cast<long double>(*number)) : std::nullopt;
}

std::optional<std::string> violation(std::string_view constraint, const json::value& before, const json::value& after) {
  if (canonical_text(before) == canonical_text(after)) return std::nullopt;
  if (constraint == "immutable") return "cannot be changed";
  if (constraint == "minor-upgrade-only") {
    if (is_minor_upgrade(before, after)) return std::nullopt;
    return "can only be raised within major version " + plain_text(before);
  }
  const auto from = number_in(before);
  const auto to = number_in(after);
  if (from && to && *to >= *from) return std::nullopt;
  return "can only be increased from " + plain_text(before);
}

}  // namespace

std::vector<core::FieldError> check_update_constraints(const json::object& schema, const json::object& before,
                                                       const json::object& after, const std::string& pointer) {
  std::vector<core::FieldError> found;
  const json::object* properties = core::find_object(schema, "properties");
  if (properties == nullptr) return found;
  for (const auto& [name, property] : *properties) {
    const json::object* described = property.if_object();
    const json::value* old_value = before.if_contains(name);
    const json::value* new_value = after.if_contains(name);
    if (described == nullptr || old_value == nullptr) continue;
    const auto constraint = core::find_string(*described, "x-update-constraint");
    if (!constraint) continue;
    if (new_value == nullptr) {
      found.push_back({core::pointer_to(pointer, name), "cannot be taken back"});
      continue;
    }
    if (const auto message = violation(*constraint, *old_value, *new_value)) {
      found.push_back({core::pointer_to(pointer, name), *message});
    }
  }
  return found;
}

}  // namespace backstay::model
