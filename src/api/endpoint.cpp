#include "api/endpoint.h"

#include <algorithm>

#include "core/text.h"

namespace backstay::api {

namespace json = core::json;

json::object ref(std::string_view component) { return {{"$ref", "#/components/schemas/" + std::string(component)}}; }

json::object array_of(const json::object& items) { return {{"type", "array"}, {"items", items}}; }

std::vector<std::string> routed_paths(const Endpoint& endpoint) {
  switch (endpoint.base) {
    case Base::kOwn: return {"/api" + endpoint.path};
    case Base::kContract: return {endpoint.path, "/api" + endpoint.path};
    case Base::kRoot: break;
  }
  return {endpoint.path};
}

std::vector<Parameter> path_parameters(const Endpoint& endpoint) {
  std::vector<Parameter> parameters;
  for (const auto& segment : core::split(endpoint.path, '/')) {
    if (!segment.starts_with('{')) continue;
    const auto name = segment.substr(1, segment.size() - 2);
    const auto found = std::ranges::find(endpoint.path_parameters, name, &Parameter::name);
    if (found != endpoint.path_parameters.end()) {
      parameters.push_back(*found);
    } else {
      parameters.push_back({.name = name, .description = "", .schema = {{"type", "string"}, {"format", "uuid"}}});
    }
    parameters.back().required = true;
  }
  return parameters;
}

std::string_view scope_name(Scope scope) {
  switch (scope) {
    case Scope::kRead: return "read";
    case Scope::kWrite: return "write";
    case Scope::kAdmin: return "admin";
    case Scope::kMetrics: return "metrics";
    case Scope::kOpen: break;
  }
  return "";
}

}  // namespace backstay::api
