#include "api/route_table.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "api/request_check.h"
#include "core/error.h"

namespace backstay::api {
namespace {

control::Principal admitted(const Authentication& authentication, Scope scope, const http::Request& request) {
  if (scope == Scope::kOpen || scope == Scope::kMetrics) return {};
  auto principal = authentication.require(request);
  if (scope == Scope::kRead) control::require_read(principal);
  if (scope == Scope::kWrite) control::require_write(principal);
  if (scope == Scope::kAdmin) control::require_admin(principal);
  return principal;
}

}  // namespace

void RouteTable::add(const Endpoint& endpoint, const EndpointHandler& handler) {
  if (std::ranges::find(endpoints_, endpoint.operation, &Endpoint::operation) != endpoints_.end()) {
    throw core::Error(core::Code::kInternal, fmt::format("there are two operations '{}'", endpoint.operation));
  }
  // One check for both base URLs of a call.
  const auto check = std::make_shared<const RequestCheck>(endpoint, components_);
  for (const std::string& path : routed_paths(endpoint)) {
    router_.add(endpoint.method, path,
                [&authentication = authentication_, scope = endpoint.scope, check, handler](const auto& request) {
                  const auto principal = admitted(authentication, scope, request);
                  check->check(request);
                  return handler(request, principal);
                });
  }
  endpoints_.push_back(endpoint);
}

}  // namespace backstay::api
