#include "api/fields.h"

#include <fmt/format.h>

namespace backstay::api {

using core::Error;

template <typename Read>
auto Fields::read(Read read_field) -> decltype(read_field()) {
  try {
    return read_field();
  } catch (const Error& error) {
    refused_.insert(refused_.end(), error.fields().begin(), error.fields().end());
    return {};
  }
}

std::optional<std::string> Fields::text(std::string_view key) {
  return read([&] { return core::find_string(object_, key, pointer_); });
}

std::optional<std::int64_t> Fields::integer(std::string_view key) {
  return read([&] { return core::find_int(object_, key, pointer_); });
}

std::optional<bool> Fields::flag(std::string_view key) {
  return read([&] { return core::find_bool(object_, key, pointer_); });
}

std::optional<core::Timestamp> Fields::time(std::string_view key) {
  const auto value = text(key);
  if (!value) return std::nullopt;
  try {
    return core::parse_time(*value);
  } catch (const Error&) {
    refuse(key, fmt::format("'{}' is not an RFC 3339 time such as 2026-04-10T12:00:00Z", *value));
    return std::nullopt;
  }
}

std::optional<core::json::object> Fields::object(std::string_view key) {
  const auto* found = read([&] { return core::find_object(object_, key, pointer_); });
  return found == nullptr ? std::nullopt : std::optional(*found);
}

std::optional<model::Secrets> Fields::secrets(std::string_view key) {
  const auto found = object(key);
  if (!found) return std::nullopt;
  return read([&] { return std::optional(model::secrets_from_json(*found, pointer_of(key))); });
}

std::optional<std::vector<std::string>> Fields::texts(std::string_view key) {
  const auto* found = read([&] { return core::find_array(object_, key, pointer_); });
  if (found == nullptr) return std::nullopt;
  std::vector<std::string> items;
  for (const core::json::value& item : *found) {
    if (!item.is_string()) {
      refuse(key, "must be an array of strings");
      return std::nullopt;
    }
    items.emplace_back(item.get_string());
  }
  return items;
}

std::optional<std::vector<std::int64_t>> Fields::integers(std::string_view key) {
  const auto* found = read([&] { return core::find_array(object_, key, pointer_); });
  if (found == nullptr) return std::nullopt;
  std::vector<std::int64_t> items;
  for (const core::json::value& item : *found) {
    if (!item.is_int64()) {
      refuse(key, "must be an array of integers");
      return std::nullopt;
    }
    items.push_back(item.get_int64());
  }
  return items;
}

void Fields::refuse(std::string_view key, std::string message) {
  refused_.push_back({pointer_of(key), std::move(message)});
}

}  // namespace backstay::api
