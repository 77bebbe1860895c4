#include "api/errors.h"

#include "api/dialects.h"
#include "api/json_response.h"
#include "api/rate_limits.h"
#include "core/json.h"

namespace backstay::api {
namespace {

constexpr std::chrono::seconds kRetryUnavailableAfter{5};

/// What Codesphere's clients are told for a refusal that their contract has no status for.
int narrowed(int status) {
  switch (status) {
    case 403: return 401;  // the token does not allow it
    case 405: return 404;  // there is no such operation
    case 408:
    case 413:
    case 429:
    case 431: return status;
    case 501: return 400;
    default: return status < 500 && status != 401 && status != 404 ? 400 : status;
  }
}

/// Creating has nothing in its path that could be missing; what the body names and does not exist is a bad body.
bool creates_service(const http::Request& request) {
  std::string_view path = request.path;
  if (path.ends_with('/')) path.remove_suffix(1);
  return request.method == "POST" && (path == "/managed-services" || path == "/api/managed-services");
}

/// Clients of the contract look for 409 when they publish a provider that exists, and then replace it.
bool creates_provider(const http::Request& request) {
  return request.method == "POST" &&
         (request.path == "/managed-services/providers" || request.path == "/api/managed-services/providers");
}

/// What cannot be reached is named by the body: the client can change it, and the code says that a retry may help.
bool names_unreachable_store(const http::Request& request, core::Code code) {
  return code == core::Code::kStoreUnreachable && (request.method == "POST" || request.method == "PATCH");
}

}  // namespace

bool begins_with_segment(std::string_view path, std::string_view segment) {
  return path.starts_with(segment) && (path.size() == segment.size() || path[segment.size()] == '/');
}

bool is_codesphere_path(std::string_view path) {
  if (begins_with_segment(path, "/api")) path.remove_prefix(4);
  return begins_with_segment(path, "/managed-services") || begins_with_segment(path, "/teams");
}

int status_of(const http::Request& request, core::Code code) {
  const int status = core::code_http_status(code);
  if (!is_codesphere_path(request.path)) return status;
  if (code == core::Code::kAlreadyExists && creates_provider(request)) return status;
  if (names_unreachable_store(request, code)) return 400;
  return status == 404 && creates_service(request) ? 400 : narrowed(status);
}

void add_waiting(const core::Error& error, int status, http::Response& response) {
  if (const auto* limited = dynamic_cast<const RateLimited*>(&error)) {
    add_headers(response, limited->allowance());
    response.headers.set("Retry-After", std::to_string(limited->retry_after().count()));
  }
  if (const auto* counted = dynamic_cast<const CountedRefusal*>(&error)) add_headers(response, counted->allowance());
  if (status == 503) response.headers.set("Retry-After", std::to_string(kRetryUnavailableAfter.count()));
}

http::Response house_error_response(const http::Request& request, const core::Error& error) {
  const int status = status_of(request, error.code());
  core::json::object body{{"status", status},
                          {"title", http::reason_phrase(status)},
                          {"detail", error.message()},
                          {"traceId", request.trace_id},
                          {"code", core::code_name(error.code())}};
  core::json::array fields;
  for (const core::FieldError& field : error.fields()) {
    fields.push_back({{"pointer", field.pointer}, {"message", field.message}});
  }
  if (!fields.empty()) body["errors"] = std::move(fields);
  if (!error.hint().empty()) body["hint"] = error.hint();
  http::Response response = json_response(body, status);
  if (status == 401) response.headers.set("WWW-Authenticate", "Bearer");
  add_waiting(error, status, response);
  return response;
}

http::Response error_response(const http::Request& request, const core::Error& error) {
  return dialect_of(request.path).refusal(request, error);
}

}  // namespace backstay::api
