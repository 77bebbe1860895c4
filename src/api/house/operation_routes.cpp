#include <fmt/format.h>

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

void add_operation_routes(http::Router& router, const Context& context) {
  add_own(router, context, "GET", "/operations", [context](const Request& request, const Principal& principal) {
    const control::OperationFilter filter{
        .service_id = query_service(request), .team_id = query_team(request), .limit = query_limit(request)};
    core::json::array array;
    for (const auto& operation : context.queries.operations(filter, principal)) {
      array.push_back(operation_resource(operation));
    }
    return json_response(array);
  });
  add_own(router, context, "GET", "/operations/{id}", [context](const Request& request, const Principal& principal) {
    return json_response(operation_resource(context.queries.operation(path_uuid(request, "operation"), principal)));
  });
  add_own(router, context, "POST", "/operations/{id}/cancel",
          [context](const Request& request, const Principal& principal) {
            const std::string id = path_uuid(request, "operation");
            return json_response(operation_resource(context.commands.cancel_operation(id, principal)));
          });
  add_own(
      router, context, "GET", "/operations/{id}/events",
      [context](const Request& request, const Principal& principal) { return events(context, request, principal); });
}

}  // namespace backstay::api::house
