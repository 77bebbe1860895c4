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

/// A comment in the stream as often as this keeps proxies from closing it.
constexpr auto kKeepAlive = std::chrono::seconds(15);

/// Writes the operation at each change until it has ended.
void follow(const Context& context, const std::string& id, const Principal& principal, http::StreamWriter& writer,
            const std::stop_token& stop) {
  std::string last;
  while (!stop.stop_requested()) {
    const auto seen = context.feed.version(id);
    const model::Operation operation = context.queries.operation(id, principal);
    std::string text = core::to_text(operation_resource(operation));
    const std::string message = text == last ? ": still here\n\n" : fmt::format("event: operation\ndata: {}\n\n", text);
    last = std::move(text);
    if (!writer.write(message) || model::is_terminal(operation.state)) return;
    context.feed.wait(id, seen, stop, kKeepAlive);
  }
}

Response events(const Context& context, const Request& request, const Principal& principal) {
  const std::string id = path_uuid(request, "operation");
  static_cast<void>(context.queries.operation(id, principal));
  Response response;
  response.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}};
  response.stream = [context, id, principal](http::StreamWriter& writer, const std::stop_token& stop) {
    follow(context, id, principal, writer, stop);
  };
  return response;
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
       .tagged = true,
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
       .answer = ref("OperationStream"),
       .answer_type = "text/event-stream"},
      [context](const Request& request, const Principal& principal) { return events(context, request, principal); });
}

}  // namespace backstay::api::house
