#include <fmt/format.h>

#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
using http::Response;

/// What a listener has seen, told by its content: the same after a restart of the server.
std::string event_id(const std::string& text) { return fmt::format("{:016x}", std::hash<std::string>{}(text)); }

/// The operation at each change until it has ended.
class Turns {
 public:
  Turns(const Context& context, std::string id, std::string last)
      : context_(context), id_(std::move(id)), last_(std::move(last)) {}

  EventStreams::Turn operator()(const Principal& principal, const std::stop_token& stop, core::Duration at_most) {
    if (seen_) context_.feed.wait(id_, *seen_, stop, at_most);
    seen_ = context_.feed.version(id_);
    const model::Operation operation = context_.queries.operation(id_, principal);
    const std::string text = core::to_text(operation_resource(operation));
    EventStreams::Turn turn;
    turn.is_last = model::is_terminal(operation.state);
    if (const std::string state = event_id(text); state != last_) {
      turn.text = stream_message(state, "operation", text);
      last_ = state;
    }
    return turn;
  }

 private:
  Context context_;
  std::string id_;
  /// What the listener has already.
  std::string last_;
  std::optional<std::uint64_t> seen_;
};

Response events(const Context& context, const Request& request, const Principal& principal) {
  const std::string id = path_uuid(request, "operation");
  static_cast<void>(context.queries.operation(id, principal));
  const std::string last = request.headers.find("Last-Event-ID").value_or("");
  return context.streams.open(request, principal, [context, id, last] { return Turns(context, id, last); });
}

}  // namespace

void add_operation_routes(RouteTable& routes, const Context& context) {
  auto list_query = service_parameters();
  for (auto& parameter : team_parameters()) list_query.push_back(std::move(parameter));
  routes.add({.method = "GET",
              .path = "/operations",
              .operation = "operations-list",
              .tag = "Operations",
              .summary = "List operations, newest first",
              .scope = Scope::kReadServices,
              .query = list_query,
              .paged = true,
              .usual_limit = kUsualLimit,
              .answer = array_of(ref("Operation"))},
             [context](const Request& request, const Principal& principal) {
               const Page page(context.queries, request, kUsualLimit);
               const control::OperationFilter filter{.service_id = query_service(request),
                                                     .team_id = query_team(request),
                                                     .after_id = page.after(),
                                                     .limit = page.fetch()};
               return page.answer(context.queries.operations(filter, principal), operation_resource,
                                  [](const auto& operation) { return operation.id; });
             });
  routes.add(
      {.method = "GET",
       .path = "/operations/{id}",
       .operation = "operations-get",
       .tag = "Operations",
       .summary = "One operation",
       .scope = Scope::kReadServices,
       .answer = ref("Operation")},
      [context](const Request& request, const Principal& principal) {
        return json_response(operation_resource(context.queries.operation(path_uuid(request, "operation"), principal)));
      });
  routes.add({.method = "POST",
              .path = "/operations/{id}/cancel",
              .operation = "operations-cancel",
              .tag = "Operations",
              .summary = "Ask an operation to stop",
              .scope = Scope::kWrite,
              .answer = ref("Operation")},
             [context](const Request& request, const Principal& principal) {
               const std::string id = path_uuid(request, "operation");
               return json_response(operation_resource(context.commands.cancel_operation(id, principal)));
             });
  routes.add(
      {.method = "GET",
       .path = "/operations/{id}/events",
       .operation = "operations-follow",
       .tag = "Operations",
       .summary = "Follow an operation until it has ended",
       .scope = Scope::kReadServices,
       .answer = ref("OperationStream"),
       .answer_type = "text/event-stream"},
      [context](const Request& request, const Principal& principal) { return events(context, request, principal); });
}

}  // namespace backstay::api::house
