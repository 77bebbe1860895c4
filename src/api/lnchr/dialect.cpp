#include "api/lnchr/dialect.h"

#include "api/dialect_hint.h"
#include "api/errors.h"
#include "api/json_response.h"
#include "core/text.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;

constexpr std::string_view kRoot = "/api/v1";

bool owns(std::string_view path) {
  if (begins_with_segment(path, kRoot)) return true;
  const auto second = path.find('/', 1);
  return second != std::string_view::npos && begins_with_segment(path.substr(second), kRoot);
}

std::optional<std::string> service_key(const http::Request& request) { return request.headers.find("x-lnchr-key"); }

/// The statuses that the platform's clients know, and 501 for what is not there.
int status_of(const core::Error& error) {
  switch (const int catalogued = core::code_http_status(error.code()); catalogued) {
    case 401:
    case 403:
    case 404:
    case 408:
    case 409:
    case 413:
    case 429:
    case 431:
    case 501:
    case 503: return catalogued;
    case 405: return 404;
    case 504:
    case 507: return 503;
    default: return catalogued < 500 ? 400 : 500;
  }
}

std::string_view code_of(int status) {
  switch (status) {
    case 401: return "UNAUTHORIZED";
    case 403: return "FORBIDDEN";
    case 404: return "NOT_FOUND";
    case 409: return "CONFLICT";
    case 429: return "TOO_MANY_REQUESTS";
    case 500: return "INTERNAL_ERROR";
    case 501: return "NOT_IMPLEMENTED";
    case 503: return "SERVICE_UNAVAILABLE";
    default: return "BAD_REQUEST";
  }
}

http::Response refusal(const http::Request& /*request*/, const core::Error& error) {
  const int status = status_of(error);
  json::object told{{"code", code_of(status)}, {"message", error.message()}};
  json::array details;
  for (const auto& field : error.fields()) details.push_back({{"field", field.pointer}, {"message", field.message}});
  if (!details.empty()) told["details"] = std::move(details);
  if (auto hint = dialect_hint(error); !hint.empty()) told["hint"] = hint;
  auto response = json_response(json::object{{"success", false}, {"error", std::move(told)}}, status);
  add_waiting(error, status, response);
  return response;
}

void dress(const AnswerFacts& facts, http::Response& response) {
  response.headers.set("x-plane-version", facts.version);
}

}  // namespace

constexpr Dialect kDialect{.owns = owns, .credential = service_key, .refusal = refusal, .dress = dress};

http::Response success(const json::value& data, int status) {
  return json_response(json::object{{"success", true}, {"data", data}}, status);
}

json::object success_schema(const json::object& data) {
  return {{"type", "object"},
          {"required", json::array{"success", "data"}},
          {"properties", {{"success", {{"type", "boolean"}, {"const", true}}}, {"data", data}}}};
}

json::object refusal_schema() {
  const json::object text{{"type", "string"}};
  const json::object detail{{"type", "object"}, {"properties", {{"field", text}, {"message", text}}}};
  return {{"type", "object"},
          {"required", json::array{"success", "error"}},
          {"properties",
           {{"success", {{"type", "boolean"}, {"const", false}}},
            {"error",
             {{"type", "object"},
              {"required", json::array{"code", "message"}},
              {"properties",
               {{"code", text},
                {"message", text},
                {"hint", text},
                {"details", {{"type", "array"}, {"items", detail}}}}}}}}}};
}

}  // namespace backstay::api::lnchr
