#include "api/testing/described.h"

#include <gtest/gtest.h>

#include "api/request_check.h"
#include "core/text.h"
#include "model/json_schema.h"

namespace backstay::api::testing {
namespace {

namespace json = core::json;

bool path_matches(std::string_view path, std::string_view pattern) {
  if (path.ends_with('/')) path.remove_suffix(1);
  const auto parts = core::split(path, '/');
  const auto names = core::split(pattern, '/');
  if (parts.size() != names.size()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] != names[i] && !names[i].starts_with('{')) return false;
  }
  return true;
}

/// The document's operation for the request; a path without parameters goes before one with. Null if there is none.
const json::object* find_operation(const http::Request& request, const json::object& document) {
  const json::object* found = nullptr;
  for (const auto& [pattern, item] : document.at("paths").as_object()) {
    const auto* servers = item.as_object().if_contains("servers");
    for (const auto& server : (servers != nullptr ? *servers : document.at("servers")).as_array()) {
      const std::string url(server.at("url").as_string());
      const std::string prefix = url.ends_with("/api") ? "/api" : "";
      if (!path_matches(request.path, prefix + std::string(pattern))) continue;
      const auto* operation = item.as_object().if_contains(core::to_lower(request.method));
      if (operation == nullptr) continue;
      if (found == nullptr || pattern.find('{') == json::string_view::npos) found = &operation->as_object();
    }
  }
  return found;
}

/// What the schema names is all there is, unless it says otherwise.
json::value closed(const json::value& schema) {
  if (const auto* array = schema.if_array()) {
    json::array items;
    for (const auto& item : *array) items.push_back(closed(item));
    return items;
  }
  if (!schema.is_object()) return schema;
  json::object object;
  for (const auto& [key, value] : schema.get_object()) object[key] = closed(value);
  const auto* type = object.if_contains("type");
  if (type != nullptr && *type == "object" && object.contains("properties") &&
      !object.contains("additionalProperties")) {
    object["additionalProperties"] = false;
  }
  return object;
}

void expect_valid(const json::object& schema, const json::value& value, const json::object& document,
                  const std::string& what) {
  const auto components = document.at("components").at("schemas").as_object();
  const auto whole = closed(with_components(schema, components));
  for (const auto& violation : model::JsonSchema::compile(whole).validate(value)) {
    ADD_FAILURE() << what << ": " << violation.pointer << ' ' << violation.message << "\n" << core::to_text(value);
  }
}

}  // namespace

void expect_described(const http::Request& request, const http::Response& response, const json::object& document) {
  const std::string what = request.method + " " + request.path + " -> " + std::to_string(response.status);
  const auto* operation = find_operation(request, document);
  if (operation == nullptr) {
    EXPECT_TRUE(response.status == 404 || response.status == 405) << what << " is not described";
    return;
  }
  const auto& answers = operation->at("responses").as_object();
  const auto* answer = answers.if_contains(std::to_string(response.status));
  if (answer == nullptr) {
    EXPECT_TRUE(response.status == 408 || response.status == 413 || response.status == 431 || response.status >= 500)
        << what << " is a status that is not described";
    answer = &answers.at("default");
  }
  const auto* content = answer->as_object().if_contains("content");
  if (content == nullptr) {
    EXPECT_EQ(response.body, "") << what;
    return;
  }
  const std::string type = core::split(response.headers.find("Content-Type").value_or(""), ';').at(0);
  const auto* media = content->as_object().if_contains(type);
  ASSERT_NE(media, nullptr) << what << " answers the type " << type << ", which is not described";
  const auto body = type == "application/json" ? core::parse_json(response.body) : json::value(response.body);
  expect_valid(media->at("schema").as_object(), body, document, what);
}

}  // namespace backstay::api::testing
