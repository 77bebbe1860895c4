#include <set>

#include "api/house/bodies.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
using http::Response;

Response list(const Context& context, const Request& request, const Principal& principal) {
  std::vector<std::int64_t> teams;
  if (const auto team = query_team(request)) {
    teams.push_back(*team);
  } else {
    for (const auto& seen : context.queries.teams(principal)) teams.push_back(seen.id);
  }
  core::json::array array;
  std::set<std::string> listed;  // the operator's are every team's
  for (const auto team : teams) {
    for (const auto& item : context.queries.destinations(team, principal)) {
      if (listed.insert(item.id).second) array.push_back(destination_resource(item));
    }
  }
  return json_response(array);
}

}  // namespace

void add_destination_routes(RouteTable& routes, const Context& context) {
  routes.add(
      {.method = "GET",
       .path = "/destinations",
       .operation = "destinations-list",
       .tag = "Destinations",
       .summary = "List where backups can go",
       .query = team_parameters(),
       .answer = array_of(ref("Destination"))},
      [context](const Request& request, const Principal& principal) { return list(context, request, principal); });
  routes.add({.method = "POST",
              .path = "/destinations",
              .operation = "destinations-create",
              .tag = "Destinations",
              .summary = "Enter a store, which is probed first",
              .scope = Scope::kWrite,
              .body = ref("CreateDestination"),
              .answer = ref("Destination")},
             [context](const Request& request, const Principal& principal) {
               const auto created =
                   context.commands.create_destination(create_destination_request(json_body(request)), principal);
               auto resource = destination_resource(created.destination);
               resource["checks"] = checks_resource(created.checks);
               return json_response(resource);
             });
  routes.add({.method = "GET",
              .path = "/destinations/{id}",
              .operation = "destinations-get",
              .tag = "Destinations",
              .summary = "One destination",
              .answer = ref("Destination")},
             [context](const Request& request, const Principal& principal) {
               return json_response(
                   destination_resource(context.queries.destination(path_uuid(request, "destination"), principal)));
             });
  routes.add({.method = "DELETE",
              .path = "/destinations/{id}",
              .operation = "destinations-delete",
              .tag = "Destinations",
              .summary = "Remove a destination that nothing uses; what is stored there stays",
              .scope = Scope::kWrite,
              .answer = ref("Empty")},
             [context](const Request& request, const Principal& principal) {
               context.commands.delete_destination(path_uuid(request, "destination"), principal);
               return json_response(core::json::object());
             });
}

}  // namespace backstay::api::house
