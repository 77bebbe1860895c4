// The calls of the API: each is routed, checked and documented from one description.
//
// A request passes, in this order: the token and its scope, the rate limit, the description's schemas, the
// Idempotency-Key, the handler; its answer is tagged. What would change something is noted in the audit log, refused or
// not, but for requests beyond the rate limit; what a token was refused of a service that it sees is an event of it
// too.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/authentication.h"
#include "api/endpoint.h"
#include "api/rate_limits.h"
#include "control/audit_log.h"
#include "control/idempotency.h"
#include "control/principal.h"
#include "control/refusal_events.h"
#include "core/json.h"
#include "core/random.h"
#include "core/time.h"
#include "http/router.h"

namespace backstay::api {

/// What a call does once its token and its request were checked. The principal of an open call is nobody.
using EndpointHandler = std::function<http::Response(const http::Request&, const control::Principal&)>;
/// The answer of a creation that took effect earlier and whose answer was lost: `subject` is the id of what it made.
using ReplayHandler =
    std::function<http::Response(const http::Request&, const control::Principal&, const std::string& subject)>;

/// What every call needs; all outlive the table.
struct RouteServices {
  const Authentication& authentication;
  RateLimiter& limits;
  control::IdempotencyGate& keys;
  control::AuditLog& audit;
  control::RefusalEvents& refusals;
  core::Clock& clock;
  core::Random& random;
};

/// Filled at start by one thread.
class RouteTable {
 public:
  /// The router outlives this; `components` are the schemas that descriptions refer to.
  RouteTable(http::Router& router, RouteServices services, core::json::object components)
      : router_(router), services_(services), components_(std::move(components)) {}

  /// Throws Error(internal) for an operation or a route that exists already. Without `replay`, a repetition whose first
  /// answer was lost is told what was made, as a conflict.
  void add(const Endpoint& endpoint, const EndpointHandler& handler, const ReplayHandler& replay = {});

  /// True for a request, of which only the head is there, that brings a file to a call which takes one.
  [[nodiscard]] bool is_upload(const http::Request& head) const;

  [[nodiscard]] const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  [[nodiscard]] const core::json::object& components() const { return components_; }

 private:
  http::Router& router_;
  RouteServices services_;
  core::json::object components_;
  std::vector<Endpoint> endpoints_;
  /// "METHOD pattern" of the calls that take uploads.
  std::set<std::string> uploads_;
};

}  // namespace backstay::api
