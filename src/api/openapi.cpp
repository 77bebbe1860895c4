#include "api/openapi.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/errors.h"
#include "core/text.h"

namespace backstay::api {
namespace {

namespace json = core::json;

constexpr std::string_view kDescription =
    "Managed services, their backups and their recovery. Paths are those of Codesphere's managed services, with "
    "Backstay's own calls beside them. Success is 200 for every call. Refusals carry the Error object.";

json::object media(const std::string& type, const json::object& schema) { return {{type, {{"schema", schema}}}}; }

json::object error_answer(const Endpoint& endpoint, std::string_view description) {
  return {{"description", description}, {"content", media("application/json", error_schema(endpoint))}};
}

json::object header(std::string_view type, std::string_view description) {
  return {{"description", description}, {"schema", {{"type", type}}}};
}

json::object allowance_headers() {
  return {{"X-RateLimit-Limit", header("integer", "how many requests may come at once after a pause")},
          {"X-RateLimit-Remaining", header("integer", "how many may come now")},
          {"X-RateLimit-Reset", header("integer", "seconds until all may come again")}};
}

json::object limited_answer(const Endpoint& endpoint) {
  auto answer = error_answer(endpoint, "too many requests of this token, or of this address without one");
  auto headers = allowance_headers();
  headers["Retry-After"] = header("integer", "seconds to wait");
  answer["headers"] = std::move(headers);
  return answer;
}

json::object any_of(const json::object& one, const json::object& other) { return {{"anyOf", json::array{one, other}}}; }

json::object success(const Endpoint& endpoint) {
  json::object headers;
  if (endpoint.scope != Scope::kOpen && endpoint.scope != Scope::kMetrics) headers = allowance_headers();
  if (endpoint.tagged) headers["ETag"] = header("string", "changes whenever the answer does");
  if (endpoint.paged) {
    headers["Link"] = header("string", "rel=\"next\": the next page, if there is one");
    headers["X-Next-Page-Token"] = header("string", "page_token of the next page, if there is one");
  }
  if (takes_idempotency_key(endpoint)) {
    headers["Idempotency-Replayed"] = header("boolean", "true: this is the answer of the first request with this key");
  }
  json::object answer{{"description", "success"}};
  if (!endpoint.answer.empty()) {
    answer["content"] =
        media(endpoint.answer_type, endpoint.previewed ? any_of(endpoint.answer, ref("Preview")) : endpoint.answer);
  }
  if (endpoint.streamed) {
    answer["content"].as_object()["text/event-stream"] = {
        {"schema", {{"type", "string"}, {"description", "server-sent events: an item of the list as data: of each"}}}};
  }
  if (!headers.empty()) answer["headers"] = std::move(headers);
  return answer;
}

json::object parameter_object(const Parameter& parameter, std::string_view in) {
  json::object object{{"name", parameter.name}, {"in", in}, {"schema", parameter.schema}};
  if (!parameter.description.empty()) object["description"] = parameter.description;
  if (parameter.required) object["required"] = true;
  return object;
}

/// What a call may answer besides its success. Codesphere's paths answer 400, 401 and 404 whatever the refusal is.
json::object refusals(const Endpoint& endpoint) {
  const bool contract = is_codesphere_path(endpoint.path);
  const bool changes = endpoint.method != "GET";
  const bool named = endpoint.path.find('{') != std::string::npos;
  json::object answers;
  if (contract || named || changes || !query_parameters(endpoint).empty()) {
    answers["400"] = error_answer(endpoint, "the request does not match its schema or a documented rule");
  }
  if (endpoint.scope != Scope::kOpen) {
    answers["401"] = error_answer(endpoint, contract ? "the token is missing or unknown, or does not allow this"
                                                     : "the token is missing, unknown or expired");
    if (!contract) answers["403"] = error_answer(endpoint, "the token does not allow this");
  }
  if (contract || named) answers["404"] = error_answer(endpoint, "what the path names does not exist for this token");
  if (!contract && changes)
    answers["409"] = error_answer(endpoint, "the object is in a state that does not allow the request");
  if (!contract && endpoint.conditional)
    answers["412"] = error_answer(endpoint, "the object is not what If-Match names");
  if (!contract && takes_idempotency_key(endpoint)) {
    answers["422"] = error_answer(endpoint, "the Idempotency-Key was used for another request");
  }
  if (endpoint.scope != Scope::kOpen) answers["429"] = limited_answer(endpoint);
  for (const auto& [status, meaning] : endpoint.more_refusals)
    answers[std::to_string(status)] = error_answer(endpoint, meaning);
  answers["default"] =
      error_answer(endpoint, "a limit of the transport (408, 413, 431) or a fault of the server (5xx)");
  return answers;
}

void add_uploads(json::object& content) {
  const json::object file{{"type", "string"}, {"format", "binary"}};
  const json::object form{{"type", "object"},
                          {"required", json::array{"file"}},
                          {"properties", {{"file", file}, {"format", {{"type", "string"}}}}}};
  content["multipart/form-data"] = {{"schema", form}};
  content["*/*"] = {{"schema", file}};
}

json::object operation_object(const Endpoint& endpoint) {
  json::object operation{{"operationId", endpoint.operation}, {"summary", endpoint.summary}};
  if (!endpoint.description.empty()) operation["description"] = endpoint.description;
  operation["tags"] = json::array{json::value(endpoint.tag)};
  json::array parameters;
  for (const auto& parameter : path_parameters(endpoint)) parameters.push_back(parameter_object(parameter, "path"));
  for (const auto& parameter : query_parameters(endpoint)) parameters.push_back(parameter_object(parameter, "query"));
  for (const auto& parameter : header_parameters(endpoint)) parameters.push_back(parameter_object(parameter, "header"));
  if (!parameters.empty()) operation["parameters"] = std::move(parameters);
  if (!endpoint.body.empty()) {
    operation["requestBody"] = {{"required", !endpoint.body_optional},
                                {"content", media("application/json", endpoint.body)}};
    if (endpoint.uploads) add_uploads(operation["requestBody"].as_object()["content"].as_object());
  }
  json::object answers{{std::to_string(endpoint.status), success(endpoint)}};
  if (endpoint.tagged) answers["304"] = {{"description", "the client has it already"}};
  for (auto& [status, answer] : refusals(endpoint)) answers[status] = answer;
  operation["responses"] = std::move(answers);
  operation["security"] = json::array();
  if (endpoint.scope != Scope::kOpen) {
    json::array scopes;
    if (const auto scope = scope_name(endpoint.scope); !scope.empty()) scopes.emplace_back(scope);
    operation["security"] = json::array{json::object{{"bearerAuth", std::move(scopes)}}};
  }
  return operation;
}

json::array servers(Base base, const std::string& origin) {
  json::array list;
  if (base == Base::kOwn || base == Base::kContract) list.push_back(json::object{{"url", origin + "/api"}});
  // An empty text is no URL; a path that follows "/" must not begin with two.
  if (base != Base::kOwn) list.push_back(json::object{{"url", origin.empty() ? "/" : origin}});
  if (base == Base::kTenant) {
    list.push_back(json::object{{"url", fmt::format("{}/{{{}}}", origin, kTenantParameter)},
                                {"variables", {{kTenantParameter, {{"default", "default"}}}}}});
  }
  return list;
}

json::array tags(const std::vector<Endpoint>& endpoints) {
  json::array list;
  std::vector<std::string> seen;
  for (const Endpoint& endpoint : endpoints) {
    if (std::ranges::find(seen, endpoint.tag) != seen.end()) continue;
    seen.push_back(endpoint.tag);
    list.push_back(json::object{{"name", endpoint.tag}});
  }
  return list;
}

}  // namespace

json::object openapi_document(const std::vector<Endpoint>& endpoints, const json::object& components,
                              const DocumentInfo& info) {
  json::object paths;
  for (const Endpoint& endpoint : endpoints) {
    json::object& item = paths.emplace(endpoint.path, json::object()).first->value().as_object();
    if (endpoint.base != Base::kOwn) item["servers"] = servers(endpoint.base, info.origin);
    item[core::to_lower(endpoint.method)] = operation_object(endpoint);
  }
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "Backstay"}, {"version", info.version}, {"description", kDescription}}},
          {"servers", servers(Base::kOwn, info.origin)},
          {"tags", tags(endpoints)},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", components},
            {"securitySchemes",
             {{"bearerAuth",
               {{"type", "http"},
                {"scheme", "bearer"},
                {"description", "a token; the scope that a call needs stands beside it"}}}}}}}};
}

}  // namespace backstay::api
