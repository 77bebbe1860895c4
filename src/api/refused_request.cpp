#include "api/refused_request.h"

#include <string_view>

#include "api/errors.h"
#include "core/json.h"

namespace backstay::api {
namespace {

using control::RefusedRequest;

constexpr std::string_view kServices = "/managed-services";

/// Empty for a body that is no object: why it was refused.
core::json::object body_of(const http::Request& request) {
  try {
    auto body = core::parse_json(request.body);
    return body.is_object() ? std::move(body.get_object()) : core::json::object();
  } catch (const core::Error&) {
    return {};
  }
}

/// True for the calls that make a service.
bool makes_service(const Endpoint& endpoint) {
  return endpoint.method == "POST" && (endpoint.path == kServices || endpoint.path == "/recoveries");
}

control::EventKind kind_of(const Endpoint& endpoint, const core::json::object& body) {
  if (endpoint.path.find("/backups") != std::string::npos) return control::events::kBackupRefused;
  if (makes_service(endpoint) && body.contains("recoverFrom")) return control::events::kRecoveryRefused;
  return control::events::kServiceRefused;
}

/// False if it is about none.
bool name_subject(const Endpoint& endpoint, const http::Request& request, const core::json::object& body,
                  RefusedRequest& refused) {
  if (makes_service(endpoint)) {
    const auto* team = body.if_contains("teamId");
    if (team != nullptr && team->is_int64()) refused.team_id = team->get_int64();
    return refused.team_id.has_value();
  }
  const auto id = request.params.find("id");
  if (id == request.params.end()) return false;
  if (endpoint.path.starts_with("/managed-services/{id}")) refused.service_id = id->second;
  if (endpoint.path.starts_with("/backups/{id}")) refused.backup_id = id->second;
  if (endpoint.path.starts_with("/operations/{id}")) refused.operation_id = id->second;
  return !(refused.service_id + refused.backup_id + refused.operation_id).empty();
}

bool is_dry_run(const http::Request& request) { return request.query_value("dryRun") == "true"; }

}  // namespace

std::optional<RefusedRequest> refused_request(const Endpoint& endpoint, const http::Request& request,
                                              const core::Error& error) {
  const int status = status_of(request, error.code());
  if (endpoint.method == "GET" || status < 400 || status > 499 || is_dry_run(request)) return std::nullopt;
  const auto body = body_of(request);
  RefusedRequest refused{.kind = kind_of(endpoint, body)};
  if (!name_subject(endpoint, request, body, refused)) return std::nullopt;
  refused.call = endpoint.operation;
  refused.summary = endpoint.summary;
  refused.code = core::code_name(error.code());
  refused.reason = error.hint().empty() ? core::code_hint(error.code()) : error.hint();
  refused.trace_id = request.trace_id;
  return refused;
}

}  // namespace backstay::api
