#include "api/guidewire/oauth.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/errors.h"
#include "api/json_response.h"
#include "core/bytes.h"
#include "core/text.h"

namespace backstay::api::guidewire {
namespace {

using core::Code;
using core::Error;

constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

std::string form_decode(std::string text) {
  std::ranges::replace(text, '+', ' ');
  return core::url_decode(text);
}

struct OAuthRefusal {
  int status = 400;
  std::string_view error;
};

OAuthRefusal refusal_of(Code code) {
  switch (code) {
    case Code::kUnauthenticated: return {401, "invalid_client"};
    case Code::kForbidden: return {400, "invalid_scope"};
    case Code::kNotSupported: return {400, "unsupported_grant_type"};
    default: break;
  }
  const int status = core::code_http_status(code);
  if (status == 429 || status == 503) return {status, "temporarily_unavailable"};
  return {status, status >= 500 ? "server_error" : "invalid_request"};
}

}  // namespace

FormFields form_of(const http::Request& request) {
  const auto type = request.headers.find("Content-Type").value_or("");
  if (core::to_lower(core::trim(type.substr(0, type.find(';')))) != kFormType) {
    throw Error(Code::kInvalidArgument, fmt::format("the body must be {}", kFormType));
  }
  FormFields fields;
  for (const auto& pair : core::split(request.body, '&')) {
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto name = form_decode(pair.substr(0, equals));
    auto value = equals == std::string::npos ? "" : form_decode(pair.substr(equals + 1));
    if (!fields.emplace(name, std::move(value)).second) {
      throw Error(Code::kInvalidArgument, fmt::format("the field '{}' is there twice", name));
    }
  }
  return fields;
}

std::optional<std::pair<std::string, core::Secret>> basic_credentials(const http::Request& request) {
  const auto header = request.headers.find("Authorization");
  if (!header || !core::to_lower(*header).starts_with("basic ")) return std::nullopt;
  const auto bytes = core::from_base64(core::trim(std::string_view(*header).substr(6)));
  const std::string text(core::as_text(bytes));
  const auto colon = text.find(':');
  if (colon == std::string::npos) throw Error(Code::kInvalidArgument, "the Basic authentication has no colon");
  return std::pair(form_decode(text.substr(0, colon)), core::Secret(form_decode(text.substr(colon + 1))));
}

http::Response oauth_refusal(const Error& error) {
  const auto [status, word] = refusal_of(error.code());
  const auto said = status >= 500 ? "the server failed; its operator finds the reason in its log" : error.message();
  auto response = json_response(core::json::object{{"error", word}, {"error_description", said}}, status);
  if (status == 401) response.headers.set("WWW-Authenticate", "Basic realm=\"backstay\"");
  add_waiting(error, status, response);
  return response;
}

core::json::object oauth_refusal_schema() {
  const core::json::object text{{"type", "string"}};
  return {{"type", "object"},
          {"required", core::json::array{"error", "error_description"}},
          {"properties", {{"error", text}, {"error_description", text}}}};
}

}  // namespace backstay::api::guidewire
