#include "api/route_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/audit_entry.h"
#include "api/entity_tags.h"
#include "api/errors.h"
#include "api/import_request.h"
#include "api/json_response.h"
#include "api/refused_request.h"
#include "api/request_check.h"
#include "core/error.h"
#include "core/log.h"

namespace backstay::api {
namespace {

using control::KeyedRequest;
using control::Principal;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

constexpr std::size_t kLongestKey = 255;

/// One call with all that it needs. Immutable once made.
class Route {
 public:
  Route(Endpoint endpoint, RouteServices services, const core::json::object& components, EndpointHandler handler,
        ReplayHandler replay)
      : endpoint_(std::move(endpoint)),
        services_(services),
        check_(endpoint_, components),
        handler_(std::move(handler)),
        replay_(std::move(replay)) {}

  [[nodiscard]] Response serve(const Request& request) const {
    if (endpoint_.scope == Scope::kOpen || endpoint_.scope == Scope::kMetrics) {
      check_.check(request);
      return finished(request, handler_(request, {}));
    }
    return endpoint_.method != "GET" || endpoint_.audited ? audited(request) : served(request, nullptr);
  }

 private:
  /// `caller`: is told who asks, as soon as that is known.
  [[nodiscard]] Response served(const Request& request, Principal* caller) const {
    const Principal principal = authenticated(request);
    if (caller != nullptr) *caller = principal;
    const auto allowance = services_.limits.take_token(principal.token_id);
    if (!allowance) return checked(request, principal);
    try {
      auto response = checked(request, principal);
      add_headers(response, *allowance);
      return response;
    } catch (const RateLimited&) {
      throw;
    } catch (const Error& error) {
      throw CountedRefusal(error, *allowance);
    }
  }

  [[nodiscard]] Response checked(const Request& request, const Principal& principal) const {
    require_scope(principal);
    check_.check(request);
    return finished(request, carried_out(request, principal));
  }

  [[nodiscard]] Response audited(const Request& request) const {
    Principal caller;
    try {
      auto response = served(request, &caller);
      services_.audit.record(outcome(request, caller, response));
      return response;
    } catch (const RateLimited&) {
      throw;
    } catch (...) {
      const auto error = core::as_error(std::current_exception());
      auto entry = outcome(request, caller, error_response(request, error));
      entry.code = core::code_name(error.code());
      tell(request, caller, error);
      services_.audit.record(entry);
      throw;
    }
  }

  void tell(const Request& request, const Principal& caller, const Error& error) const {
    if (caller.token_id.empty()) return;
    try {
      const auto refused = refused_request(endpoint_, request, caller, error);
      if (refused) services_.refusals.record(*refused, caller);
    } catch (const Error& untold) {
      core::log_warning("refusal.untold", untold.message(), {{"trace_id", request.trace_id}});
    }
  }

  [[nodiscard]] model::AuditEntry outcome(const Request& request, const Principal& caller,
                                          const Response& response) const {
    auto entry = audit_entry(endpoint_, request, response);
    entry.id = services_.random.uuid();
    entry.at = services_.clock.now();
    entry.token_id = caller.token_id;
    entry.token_name = caller.token_name;
    entry.all_teams = caller.all_teams;
    entry.team_ids.assign(caller.team_ids.begin(), caller.team_ids.end());
    return entry;
  }

  /// Whoever has no valid token is counted by address, so that tokens cannot be tried without end.
  [[nodiscard]] Principal authenticated(const Request& request) const {
    try {
      return services_.authentication.require(request);
    } catch (const Error& error) {
      if (error.code() == Code::kUnauthenticated) static_cast<void>(services_.limits.take_address(request.client));
      throw;
    }
  }

  void require_scope(const Principal& principal) const {
    if (endpoint_.scope != Scope::kAny) control::require_scope(principal, scope_name(endpoint_.scope));
  }

  [[nodiscard]] Response finished(const Request& request, Response response) const {
    return endpoint_.tagged ? tagged(request, std::move(response)) : response;
  }

  [[nodiscard]] Response carried_out(const Request& request, const Principal& principal) const {
    if (takes_idempotency_key(endpoint_)) {
      if (const auto key = request.headers.find("Idempotency-Key")) return once(*key, request, principal);
    }
    if (!endpoint_.conditional) return handler_(request, principal);
    return handler_(request, with_terms(principal, {.generations = matched_generations(request)}));
  }

  static Principal with_terms(Principal principal, control::RequestTerms terms) {
    principal.terms = std::make_shared<const control::RequestTerms>(std::move(terms));
    return principal;
  }

  [[nodiscard]] Response once(const std::string& key, const Request& request, const Principal& principal) const {
    if (key.empty() || key.size() > kLongestKey) {
      throw Error(Code::kInvalidArgument, fmt::format("an Idempotency-Key has 1 to {} characters", kLongestKey))
          .with_field("Idempotency-Key", fmt::format("must have 1 to {} characters", kLongestKey));
    }
    auto begun = services_.keys.begin(principal.token_id, key, what_is_asked(request));
    if (begun.stage == KeyedRequest::Stage::kAnswered) return replayed(begun.key);
    try {
      auto response = begun.stage == KeyedRequest::Stage::kEffective
                          ? made_before(request, principal, begun.key)
                          : handler_(request, with_terms(principal, {.key = begun.key}));
      services_.keys.finish(begun.key, response.status, core::Secret(response.body));
      return response;
    } catch (...) {
      services_.keys.abandon(begun.key);
      throw;
    }
  }

  /// All that makes one request another one.
  static core::Secret what_is_asked(const Request& request) {
    core::json::array query;
    for (const auto& [name, value] : request.query) query.push_back(core::json::array{name, value});
    return core::Secret(core::to_text(core::json::array{request.method, request.path, query, request.body}));
  }

  static Response replayed(const control::IdempotencyKey& key) {
    Response response;
    response.status = static_cast<int>(key.status);
    response.headers = {
        {"Content-Type", "application/json"}, {"Cache-Control", "no-store"}, {"Idempotency-Replayed", "true"}};
    response.body = key.answer.reveal();
    return response;
  }

  [[nodiscard]] Response made_before(const Request& request, const Principal& principal,
                                     const control::IdempotencyKey& key) const {
    if (!replay_) {
      throw Error(Code::kConflict,
                  fmt::format("the request with the key '{}' took effect on '{}', but its answer was lost when the "
                              "server ended",
                              key.key, key.subject))
          .with_hint("look at what it made; for doing it once more, take a fresh key");
    }
    auto response = replay_(request, principal, key.subject);
    response.headers.set("Idempotency-Replayed", "true");
    return response;
  }

  Endpoint endpoint_;
  RouteServices services_;
  RequestCheck check_;
  EndpointHandler handler_;
  ReplayHandler replay_;
};

}  // namespace

void RouteTable::add(const Endpoint& endpoint, const EndpointHandler& handler, const ReplayHandler& replay) {
  if (std::ranges::find(endpoints_, endpoint.operation, &Endpoint::operation) != endpoints_.end()) {
    throw Error(Code::kInternal, fmt::format("there are two operations '{}'", endpoint.operation));
  }
  // Shared by the paths of a call and by the router's copies of its handlers.
  const auto route = std::make_shared<const Route>(endpoint, services_, components_, handler, replay);
  for (const std::string& path : routed_paths(endpoint)) {
    if (endpoint.uploads) uploads_.insert(endpoint.method + " " + path);
    router_.add(endpoint.method, path, [route](const Request& request) { return route->serve(request); });
  }
  endpoints_.push_back(endpoint);
}

bool RouteTable::is_upload(const http::Request& head) const {
  if (uploads_.empty() || head.method == "GET" || !brings_file(head)) return false;
  return uploads_.contains(head.method + " " + router_.pattern_of(head));
}

}  // namespace backstay::api
