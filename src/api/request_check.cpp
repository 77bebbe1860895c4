#include "api/request_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/text.h"

namespace backstay::api {
namespace {

namespace json = core::json;
using core::FieldError;

constexpr std::string_view kComponents = "#/components/schemas/";
constexpr std::string_view kDefinitions = "#/$defs/";
/// Never ignored: whoever only asks must not be obeyed.
constexpr std::string_view kDryRun = "dryRun";

/// Query values are texts; the schema is about what they stand for. A text that stands for nothing of the type stays
/// a text, which the schema refuses.
json::value query_value(const std::string& text, std::string_view type) {
  if (type == "integer") {
    if (const auto number = core::parse_int(text)) return *number;
  }
  if (type == "boolean" && (text == "true" || text == "false")) return text == "true";
  return json::value(text);
}

/// Makes a copy of a schema whose references name definitions of one document, and gathers those.
class Bundler {
 public:
  explicit Bundler(const json::object& components) : components_(components) {}

  json::value relocated(const json::value& schema) {
    if (const auto* array = schema.if_array()) {
      json::array items;
      for (const json::value& item : *array) items.push_back(relocated(item));
      return items;
    }
    if (!schema.is_object()) return schema;
    json::object object;
    for (const auto& [key, value] : schema.get_object()) {
      object[key] = key == "$ref" && value.is_string() ? json::value(reference(value.get_string())) : relocated(value);
    }
    return object;
  }

  json::object definitions;

 private:
  std::string reference(std::string_view target) {
    const std::string name(target.substr(std::min(target.size(), kComponents.size())));
    const auto* component = components_.if_contains(name);
    if (!target.starts_with(kComponents) || component == nullptr) {
      throw core::Error(core::Code::kInternal, fmt::format("a schema refers to '{}', which is no component", target));
    }
    if (!definitions.contains(name)) {
      definitions[name] = nullptr;  // known, in case it refers to itself
      definitions[name] = relocated(*component);
    }
    return std::string(kDefinitions) + name;
  }

  const json::object& components_;
};

}  // namespace

json::object with_components(const json::object& schema, const json::object& components) {
  Bundler bundler(components);
  json::object document = bundler.relocated(schema).as_object();
  if (!bundler.definitions.empty()) document["$defs"] = std::move(bundler.definitions);
  return document;
}

RequestCheck::RequestCheck(const Endpoint& endpoint, const json::object& components)
    : strict_query_(endpoint.base == Base::kOwn) {
  for (const Parameter& parameter : query_parameters(endpoint)) {
    query_.push_back({.name = parameter.name,
                      .type = core::require_string(parameter.schema, "type"),
                      .required = parameter.required,
                      .schema = model::JsonSchema::compile(parameter.schema)});
  }
  body_optional_ = endpoint.body_optional;
  if (!endpoint.body.empty()) body_ = model::JsonSchema::compile(with_components(endpoint.body, components));
}

void RequestCheck::check(const http::Request& request) const {
  std::vector<FieldError> refused;
  check_query(request, refused);
  if (body_ && !request.upload && !(body_optional_ && request.body.empty())) {
    const auto found = body_->validate(core::parse_json(request.body));
    refused.insert(refused.end(), found.begin(), found.end());
  }
  require_none_refused(refused);
}

void RequestCheck::check_query(const http::Request& request, std::vector<FieldError>& refused) const {
  for (const auto& [name, value] : request.query) {
    if ((strict_query_ || name == kDryRun) && std::ranges::find(query_, name, &QueryParameter::name) == query_.end()) {
      refused.push_back({"?" + name, "is not a parameter of this call"});
    }
  }
  for (const QueryParameter& parameter : query_) {
    const auto text = request.query_value(parameter.name);
    if (!text) {
      if (parameter.required) refused.push_back({"?" + parameter.name, "is required"});
      continue;
    }
    const auto found = parameter.schema.validate(query_value(*text, parameter.type), "?" + parameter.name);
    refused.insert(refused.end(), found.begin(), found.end());
  }
}

void require_none_refused(const std::vector<FieldError>& refused) {
  if (refused.empty()) return;
  std::string message =
      fmt::format("{} {}", refused[0].pointer.empty() ? "the body" : refused[0].pointer, refused[0].message);
  if (refused.size() > 1) message += fmt::format(" (and {} more)", refused.size() - 1);
  core::Error error(core::Code::kInvalidArgument, message);
  for (const FieldError& field : refused) error.with_field(field.pointer, field.message);
  throw error;
}

}  // namespace backstay::api
