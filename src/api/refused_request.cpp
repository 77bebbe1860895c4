#include "api/refused_request.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "api/errors.h"
#include "core/json.h"
#include "core/random.h"
#include "core/text.h"

namespace backstay::api {
namespace {

using control::RefusedRequest;

constexpr std::size_t kUuidLength = 36;

/// Where in the paths of all dialects an id stands, and of what.
struct PathId {
  std::string_view path;
  std::string_view parameter;
  std::string RefusedRequest::* names;
};
// The first that fits: a backup of a service is told as the service's.
constexpr std::array<PathId, 6> kPathIds{{{"/managed-services/{id}", "id", &RefusedRequest::service_id},
                                          {"/backups/database/{id}", "id", &RefusedRequest::backup_id},
                                          {"/databases/{id}", "id", &RefusedRequest::service_id},
                                          {"/backups/{id}", "id", &RefusedRequest::backup_id},
                                          {"schedules/{id}", "id", &RefusedRequest::schedule_id},
                                          {"/operations/{id}", "id", &RefusedRequest::operation_id}}};
constexpr std::string_view kNumberedBackup = "/backups/{backupId}";
constexpr std::string_view kNumberedParameter = "backupId";

/// Calls that make something, which is about a team until it is there.
constexpr std::array<std::string_view, 5> kMaking{"/managed-services", "/databases", "/recoveries", "/schedules",
                                                  "/backup-schedules"};
/// Fields of such a call's body that say of which service it would be.
constexpr std::array<std::string_view, 3> kServiceFields{"serviceId", "database_id", "msId"};

/// Empty for a body that is no object: why it was refused.
core::json::object body_of(const http::Request& request) {
  try {
    auto body = core::parse_json(request.body);
    return body.is_object() ? std::move(body.get_object()) : core::json::object();
  } catch (const core::Error&) {
    return {};
  }
}

/// What stands behind a dialect's own prefix; empty if that is no UUID.
std::string uuid_in(std::string_view text) {
  if (text.size() > kUuidLength) text.remove_prefix(text.size() - kUuidLength);
  return core::is_uuid(text) ? core::to_lower(text) : "";
}

bool makes_something(const Endpoint& endpoint) {
  return endpoint.method == "POST" &&
         std::ranges::any_of(kMaking, [&](auto path) { return endpoint.path.ends_with(path); });
}

control::EventKind kind_of(const Endpoint& endpoint, const core::json::object& body) {
  switch (endpoint.scope) {
    case Scope::kRecoverBackups:
    case Scope::kRecoverInPlace: return control::events::kRecoveryRefused;
    case Scope::kWriteBackups:
    case Scope::kDeleteBackups: return control::events::kBackupRefused;
    default: break;
  }
  if (makes_something(endpoint) && body.contains("recoverFrom")) return control::events::kRecoveryRefused;
  return control::events::kServiceRefused;
}

bool name_by_path(const Endpoint& endpoint, const http::Request& request, RefusedRequest& refused) {
  for (const auto& place : kPathIds) {
    const auto id = request.params.find(std::string(place.parameter));
    if (id == request.params.end() || endpoint.path.find(place.path) == std::string::npos) continue;
    refused.*place.names = uuid_in(id->second);
    return !(refused.*place.names).empty();
  }
  const auto number = request.params.find(std::string(kNumberedParameter));
  if (number == request.params.end() || !endpoint.path.ends_with(kNumberedBackup)) return false;
  refused.backup_number = core::parse_int(number->second).value_or(0);
  return refused.backup_number > 0;
}

/// Of the body, of the path or of a header field; without any the caller's only team is meant.
void name_owner(const http::Request& request, const core::json::object& body, RefusedRequest& refused) {
  for (const auto field : kServiceFields) {
    const auto* id = body.if_contains(field);
    if (id != nullptr && id->is_string()) refused.service_id = uuid_in(std::string_view(id->get_string()));
  }
  const auto* team = body.if_contains("teamId");
  if (team != nullptr && team->is_int64()) refused.team_id = team->get_int64();
  const auto tenant = request.params.find(std::string(kTenantParameter));
  refused.team_slug =
      tenant != request.params.end() ? tenant->second : request.headers.find("X-Organization-Id").value_or("");
  if (const auto id = core::parse_int(refused.team_slug)) refused.team_id = id;
}

/// False if it is about none.
bool name_subject(const Endpoint& endpoint, const http::Request& request, const control::Principal& principal,
                  const core::json::object& body, RefusedRequest& refused) {
  if (name_by_path(endpoint, request, refused)) return true;
  if (endpoint.subject) refused.service_id = endpoint.subject(request, principal);
  if (!refused.service_id.empty()) return true;
  if (makes_something(endpoint)) name_owner(request, body, refused);
  return makes_something(endpoint);
}

bool is_dry_run(const http::Request& request) { return request.query_value("dryRun") == "true"; }

}  // namespace

std::optional<RefusedRequest> refused_request(const Endpoint& endpoint, const http::Request& request,
                                              const control::Principal& principal, const core::Error& error) {
  const int status = status_of(request, error.code());
  if (endpoint.method == "GET" || status < 400 || status > 499 || is_dry_run(request)) return std::nullopt;
  const auto body = body_of(request);
  RefusedRequest refused{.kind = kind_of(endpoint, body)};
  if (!name_subject(endpoint, request, principal, body, refused)) return std::nullopt;
  refused.call = endpoint.operation;
  refused.summary = endpoint.summary;
  refused.code = core::code_name(error.code());
  refused.reason = error.hint().empty() ? core::code_hint(error.code()) : error.hint();
  refused.trace_id = request.trace_id;
  return refused;
}

}  // namespace backstay::api
