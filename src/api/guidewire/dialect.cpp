#include "api/guidewire/dialect.h"

#include "api/errors.h"
#include "api/guidewire/oauth.h"
#include "api/json_response.h"
#include "core/text.h"

namespace backstay::api::guidewire {
namespace {

namespace json = core::json;

constexpr std::string_view kTokens = "/oauth2";

bool owns(std::string_view path) {
  return begins_with_segment(path, "/api/v1/tenants") || begins_with_segment(path, kTokens);
}

int status_of(const core::Error& error) {
  switch (const int catalogued = core::code_http_status(error.code()); catalogued) {
    case 402:
    case 412:
    case 422: return 400;
    case 504:
    case 507: return 503;
    default: return catalogued;
  }
}

/// The platform's errors have one message for everything.
std::string message_of(const core::Error& error) {
  std::string message = error.message();
  for (const auto& field : error.fields()) message += "; " + field.pointer + " " + field.message;
  return message;
}

http::Response refusal(const http::Request& request, const core::Error& error) {
  if (begins_with_segment(request.path, kTokens)) return oauth_refusal(error);
  const int status = status_of(error);
  auto response = json_response(json::object{{"timestamp", core::format_time(core::SystemClock().now())},
                                             {"status", status},
                                             {"error", http::reason_phrase(status)},
                                             {"message", message_of(error)},
                                             {"path", request.path}},
                                status);
  if (status == 401) response.headers.set("WWW-Authenticate", "Bearer");
  add_waiting(error, status, response);
  return response;
}

}  // namespace

constexpr Dialect kDialect{.owns = owns, .credential = nullptr, .refusal = refusal, .dress = nullptr};

json::object refusal_schema() {
  const json::object text{{"type", "string"}};
  return {{"type", "object"},
          {"required", json::array{"timestamp", "status", "error", "message", "path"}},
          {"properties",
           {{"timestamp", {{"type", "string"}, {"format", "date-time"}}},
            {"status", {{"type", "integer"}}},
            {"error", text},
            {"message", text},
            {"path", text}}}};
}

}  // namespace backstay::api::guidewire
