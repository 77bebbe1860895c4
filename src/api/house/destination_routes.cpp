#include <set>

#include "api/entity_tags.h"
#include "api/house/bodies.h"
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

Response list(const Context& context, const Request& request, const Principal& principal) {
  std::vector<std::int64_t> teams;
  if (const auto team = query_team(request)) {
    teams.push_back(*team);
  } else {
    for (const auto& seen : context.queries.teams(principal)) teams.push_back(seen.id);
  }
  std::vector<model::Destination> destinations;
  std::set<std::string> listed;  // the operator's are every team's
  for (const auto team : teams) {
    for (auto& item : context.queries.destinations(team, principal)) {
      if (listed.insert(item.id).second) destinations.push_back(std::move(item));
    }
  }
  return Page(context.queries, request)
      .answer_from(std::move(destinations), destination_resource,
                   [](const model::Destination& destination) { return destination.id; });
}

http::Response answer_of(const control::CreatedDestination& saved) {
  auto resource = destination_resource(saved.destination);
  if (!saved.checks.empty()) resource["checks"] = checks_resource(saved.checks);
  return json_response(resource);
}

control::Precondition<model::Destination> as_seen(const Request& request) {
  return [&request](const model::Destination& destination) {
    require_match(request, body_tag(core::to_text(destination_resource(destination))), "destination");
  };
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
       .paged = true,
       .answer = array_of(ref("Destination"))},
      [context](const Request& request, const Principal& principal) { return list(context, request, principal); });
  routes.add(
      {.method = "POST",
       .path = "/destinations",
       .operation = "destinations-create",
       .tag = "Destinations",
       .summary = "Enter a store, which is probed first",
       .scope = Scope::kWrite,
       .body = ref("CreateDestination"),
       .answer = ref("Destination")},
      [context](const Request& request, const Principal& principal) {
        return answer_of(
            context.commands.create_destination(create_destination_request(json_body(request)), principal));
      },
      [context](const Request& /*request*/, const Principal& principal, const std::string& id) {
        return json_response(destination_resource(context.queries.destination(id, principal)));
      });
  routes.add({.method = "GET",
              .path = "/destinations/{id}",
              .operation = "destinations-get",
              .tag = "Destinations",
              .summary = "One destination",
              .tagged = true,
              .answer = ref("Destination")},
             [context](const Request& request, const Principal& principal) {
               return json_response(
                   destination_resource(context.queries.destination(path_uuid(request, "destination"), principal)));
             });
  routes.add({.method = "PATCH",
              .path = "/destinations/{id}",
              .operation = "destinations-update",
              .tag = "Destinations",
              .summary = "Give a destination another name, other keys or another place, which is probed first",
              .description = "Another place is refused while backups lie in this one, unless it holds the same "
                             "repository, and needs both keys in the request. New keys reach what runs by themselves.",
              .scope = Scope::kWrite,
              .conditional = true,
              .body = ref("UpdateDestination"),
              .answer = ref("Destination"),
              .more_refusals = {{409, "backups lie in the place that it has, or the other one is entered already"}}},
             [context](const Request& request, const Principal& principal) {
               const auto id = path_uuid(request, "destination");
               return answer_of(context.commands.update_destination(id, update_destination_request(json_body(request)),
                                                                    principal, as_seen(request)));
             });
  routes.add(
      {.method = "POST",
       .path = "/destinations/{id}/lost",
       .operation = "destinations-lose",
       .tag = "Destinations",
       .summary = "Declare a destination lost for ever, with all that is stored there",
       .description = "Its backups are lost, nothing is asked of it any more, and records of deleted services do not "
                      "wait for it. There is no way back; what is stored there is not touched.",
       .scope = Scope::kAdmin,
       .previewed = true,
       .body = ref("LoseDestination"),
       .answer = ref("Destination"),
       .more_refusals = {{409, "backups go there; the answer says whose"}}},
      [context](const Request& request, const Principal& principal) {
        const auto id = path_uuid(request, "destination");
        const auto name = core::require_string(json_body(request), "name");
        const auto effect = query_effect(request);
        const auto preview = context.commands.lose_destination(id, name, principal, effect);
        return json_response(effect == control::Effect::kDryRun
                                 ? preview_resource(preview)
                                 : destination_resource(context.queries.destination(id, principal)));
      },
      [context](const Request& /*request*/, const Principal& principal, const std::string& id) {
        return json_response(destination_resource(context.queries.destination(id, principal)));
      });
  routes.add(
      {.method = "DELETE",
       .path = "/destinations/{id}",
       .operation = "destinations-delete",
       .tag = "Destinations",
       .summary = "Remove a destination that nothing uses; what is stored there stays",
       .scope = Scope::kDelete,
       .previewed = true,
       .conditional = true,
       .answer = ref("Empty"),
       .more_refusals = {{409, "a service, a schedule or a backup needs it; the answer says which"}}},
      [context](const Request& request, const Principal& principal) {
        const auto id = path_uuid(request, "destination");
        const auto effect = query_effect(request);
        const auto preview = context.commands.delete_destination(id, principal, effect, as_seen(request));
        return json_response(effect == control::Effect::kDryRun ? preview_resource(preview) : core::json::object());
      });
}

}  // namespace backstay::api::house
