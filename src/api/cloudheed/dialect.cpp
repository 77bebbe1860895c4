#include "api/cloudheed/dialect.h"

#include <algorithm>

#include "api/dialect_hint.h"
#include "api/errors.h"
#include "api/json_response.h"
#include "core/text.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;

constexpr std::string_view kReset = "X-RateLimit-Reset";

bool owns(std::string_view path) { return begins_with_segment(path, "/v1"); }

/// What the body cannot be read for is 400, what is wrong in it 422.
int status_of(const core::Error& error) {
  if (error.code() == core::Code::kMalformedJson) return 400;
  switch (const int catalogued = core::code_http_status(error.code()); catalogued) {
    case 400:
    case 412: return 422;
    case 405: return 404;
    case 504:
    case 507: return 503;
    default: return catalogued;
  }
}

std::string_view code_of(int status) {
  switch (status) {
    case 401: return "invalid_token";
    case 402: return "payment_required";
    case 403: return "insufficient_permissions";
    case 404: return "resource_not_found";
    case 409: return "resource_conflict";
    case 429: return "rate_limit_exceeded";
    case 500: return "internal_error";
    case 501: return "not_implemented";
    case 503: return "maintenance_mode";
    default: return "validation_error";
  }
}

/// "/backup/name" as "backup.name".
std::string field_name(std::string pointer) {
  if (pointer.starts_with('/') || pointer.starts_with('?')) pointer.erase(0, 1);
  std::ranges::replace(pointer, '/', '.');
  return pointer;
}

http::Response refusal(const http::Request& request, const core::Error& error) {
  const int status = status_of(error);
  json::object told{{"code", code_of(status)}, {"message", error.message()}};
  json::array details;
  for (const auto& field : error.fields()) {
    details.push_back({{"field", field_name(field.pointer)}, {"message", field.message}});
  }
  if (!details.empty()) told["details"] = std::move(details);
  if (auto hint = dialect_hint(error); !hint.empty()) told["hint"] = hint;
  auto response = json_response(
      json::object{{"error", std::move(told)}, {"meta", {{"request_id", "req-" + request.trace_id}}}}, status);
  add_waiting(error, status, response);
  return response;
}

/// The platform tells when the limit begins anew as a time, not as how long it is until then.
void dress(const AnswerFacts& facts, http::Response& response) {
  const auto left = core::parse_int(response.headers.find(kReset).value_or(""));
  if (!left) return;
  const auto now = std::chrono::floor<std::chrono::seconds>(facts.now).time_since_epoch().count();
  response.headers.set(std::string(kReset), std::to_string(now + *left));
}

}  // namespace

constexpr Dialect kDialect{.owns = owns, .credential = nullptr, .refusal = refusal, .dress = dress};

json::object refusal_schema() {
  const json::object text{{"type", "string"}};
  const json::object detail{{"type", "object"}, {"properties", {{"field", text}, {"message", text}}}};
  return {
      {"type", "object"},
      {"required", json::array{"error", "meta"}},
      {"properties",
       {{"error",
         {{"type", "object"},
          {"required", json::array{"code", "message"}},
          {"properties",
           {{"code", text}, {"message", text}, {"hint", text}, {"details", {{"type", "array"}, {"items", detail}}}}}}},
        {"meta", {{"type", "object"}, {"properties", {{"request_id", text}}}}}}}};
}

}  // namespace backstay::api::cloudheed
