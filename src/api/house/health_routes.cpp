#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "core/error.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

/// A proxy on this machine speaks for somebody else.
bool from_this_machine(const Request& request) {
  const bool loopback = request.client.starts_with("127.") || request.client == "::1";
  return loopback && !request.headers.find("X-Forwarded-For") && !request.headers.find("Forwarded");
}

Response metrics(const Context& context, const Request& request) {
  if (!from_this_machine(request)) {
    const auto principal = context.authentication.require(request);
    if (!principal.admin && !principal.may_read_metrics) {
      throw Error(Code::kForbidden, "the token lacks the scope 'metrics'");
    }
  }
  Response response;
  response.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
  response.body = context.metrics.text();
  return response;
}

}  // namespace

void add_health_routes(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/health",
              .operation = "health",
              .tag = "Server",
              .summary = "Whether the process answers",
              .base = Base::kRoot,
              .scope = Scope::kOpen,
              .answer = ref("Health")},
             [](const Request& /*request*/, const Principal& /*nobody*/) {
               return json_response(core::json::object{{"status", "healthy"}});
             });
  routes.add({.method = "GET",
              .path = "/ready",
              .operation = "ready",
              .tag = "Server",
              .summary = "Whether the server takes work",
              .base = Base::kRoot,
              .scope = Scope::kOpen,
              .answer = ref("Readiness")},
             [ready = context.ready](const Request& /*request*/, const Principal& /*nobody*/) {
               if (!ready()) throw Error(Code::kUnavailable, "the server is starting or stopping");
               return json_response(core::json::object{{"status", "ready"}});
             });
  routes.add(
      {.method = "GET",
       .path = "/metrics",
       .operation = "metrics",
       .tag = "Server",
       .summary = "Measurements; from this machine without a token",
       .base = Base::kRoot,
       .scope = Scope::kMetrics,
       .answer = ref("MetricsText"),
       .answer_type = "text/plain"},
      [context](const Request& request, const Principal& /*checked here*/) { return metrics(context, request); });
}

}  // namespace backstay::api::house
