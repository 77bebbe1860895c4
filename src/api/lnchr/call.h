// What Lnchr's calls have in common: their description, their tenant, and whose words a refusal speaks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/dialect_request.h"
#include "api/endpoint.h"
#include "control/principal.h"
#include "control/queries.h"
#include "core/error.h"
#include "http/types.h"

namespace backstay::api::lnchr {

/// Those of a description that one call does not have in common with others.
struct Call {
  std::string method;
  /// Below /api/v1.
  std::string path;
  /// Without the dialect in front.
  std::string operation;
  std::string summary;
  std::string description = {};
  Scope scope = Scope::kRead;
  std::vector<Parameter> query = {};
  core::json::object body = {};
  bool body_optional = false;
  bool uploads = false;
  int status = 200;
  /// Of what is in the envelope; empty: no body.
  core::json::object data = {};
};
Endpoint described(const Call& call, std::string_view tag);

/// The team that the path's tenant names; nothing for a path without one. Throws Error(not_found).
std::optional<std::int64_t> tenant_of(control::Queries& queries, const http::Request& request,
                                      const control::Principal& principal);
/// The tenant's team, or the only one that the token sees. Throws Error(invalid_argument) where it sees more.
std::int64_t owning_team(control::Queries& queries, const http::Request& request, const control::Principal& principal);

/// The UUID of the path's parameter. What is none names nothing: Error(not_found) "<what> not found".
std::string path_id(const http::Request& request, std::string_view what, std::string_view parameter = "id");
/// "<what> not found", as the platform says it.
core::Error not_found(std::string_view what);

}  // namespace backstay::api::lnchr
