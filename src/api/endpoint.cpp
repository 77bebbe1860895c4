#include "api/endpoint.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/text.h"

namespace backstay::api {

namespace json = core::json;

json::object ref(std::string_view component) { return {{"$ref", "#/components/schemas/" + std::string(component)}}; }

json::object error_schema(const Endpoint& endpoint) {
  return endpoint.refusal.empty() ? ref("Error") : endpoint.refusal;
}

json::object array_of(const json::object& items) { return {{"type", "array"}, {"items", items}}; }

std::vector<std::string> routed_paths(const Endpoint& endpoint) {
  switch (endpoint.base) {
    case Base::kOwn: return {"/api" + endpoint.path};
    case Base::kContract: return {endpoint.path, "/api" + endpoint.path};
    case Base::kTenant: return {endpoint.path, fmt::format("/{{{}}}{}", kTenantParameter, endpoint.path)};
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

std::vector<Parameter> query_parameters(const Endpoint& endpoint) {
  auto parameters = endpoint.query;
  if (endpoint.previewed) {
    parameters.push_back({.name = "dryRun",
                          .description = "only tell what would happen: the answer is a Preview, and nothing changes",
                          .schema = {{"type", "boolean"}, {"default", false}}});
  }
  if (!endpoint.paged) return parameters;
  json::object limit{{"type", "integer"}, {"minimum", 1}, {"maximum", kHighestLimit}};
  if (endpoint.usual_limit > 0) limit["default"] = endpoint.usual_limit;
  parameters.push_back({.name = "limit",
                        .description = endpoint.usual_limit > 0 ? "how many at most" : "how many at most; absent: all",
                        .schema = std::move(limit)});
  parameters.push_back({.name = "page_token",
                        .description = "where to go on: X-Next-Page-Token of the page before, with the same parameters",
                        .schema = {{"type", "string"}, {"minLength", 1}, {"maxLength", 1000}}});
  return parameters;
}

std::vector<Parameter> header_parameters(const Endpoint& endpoint) {
  std::vector<Parameter> parameters;
  const json::object text{{"type", "string"}};
  if (endpoint.tagged) {
    parameters.push_back({.name = "If-None-Match",
                          .description = "the ETag that the client has: 304 if it is the one that is there",
                          .schema = text});
  }
  if (endpoint.streamed) {
    parameters.push_back({.name = "Last-Event-ID",
                          .description = "the id of the last message of a stream before: it goes on after that",
                          .schema = text});
  }
  if (endpoint.conditional) {
    parameters.push_back({.name = "If-Match",
                          .description = "the ETag of what the client has seen: nothing is changed if that is old",
                          .schema = text});
  }
  if (takes_idempotency_key(endpoint)) {
    parameters.push_back({.name = "Idempotency-Key",
                          .description = "a word of the client's own: a request that is repeated with it within 24 "
                                         "hours takes effect once and has the same answer",
                          .schema = {{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}});
  }
  return parameters;
}

bool takes_idempotency_key(const Endpoint& endpoint) {
  return endpoint.method == "POST" && endpoint.scope != Scope::kOpen && endpoint.scope != Scope::kMetrics;
}

std::string_view scope_name(Scope scope) {
  switch (scope) {
    case Scope::kRead: return "read";
    case Scope::kWrite: return "change";
    case Scope::kDelete: return "delete";
    case Scope::kRecoverInPlace: return "recover-in-place";
    case Scope::kAdmin: return "admin";
    case Scope::kMetrics: return "metrics";
    case Scope::kReadServices: return "services:read";
    case Scope::kWriteServices: return "services:write";
    case Scope::kDeleteServices: return "services:delete";
    case Scope::kReadBackups: return "backups:read";
    case Scope::kWriteBackups: return "backups:write";
    case Scope::kRecoverBackups: return "backups:recover";
    case Scope::kDeleteBackups: return "backups:delete";
    case Scope::kAny:
    case Scope::kOpen: break;
  }
  return "";
}

}  // namespace backstay::api
