#include "api/house/bodies.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;

constexpr int kRoleAdmin = 0;
constexpr int kRoleMember = 1;

Parameter team_in_path() {
  return {.name = "id", .description = "a team", .schema = {{"type", "integer"}, {"minimum", 0}}};
}

}  // namespace

void add_team_routes(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/teams",
              .operation = "teams-list",
              .tag = "Teams",
              .summary = "List the teams that the token sees",
              .base = Base::kContract,
              .scope = Scope::kAny,
              .paged = true,
              .answer = array_of(ref("Team"))},
             [context](const Request& request, const Principal& principal) {
               const auto with_role = [&](const model::Team& team) {
                 auto resource = team_resource(team);
                 resource["role"] = principal.admin ? kRoleAdmin : kRoleMember;
                 return resource;
               };
               return Page(context.queries, request)
                   .answer_from(context.queries.teams(principal), with_role,
                                [](const model::Team& team) { return std::to_string(team.id); });
             });
  routes.add(
      {.method = "POST",
       .path = "/teams",
       .operation = "teams-create",
       .tag = "Teams",
       .summary = "Make a team",
       .base = Base::kContract,
       .scope = Scope::kAdmin,
       .body = ref("CreateTeam"),
       .answer = ref("Team")},
      [context](const Request& request, const Principal& principal) {
        const auto wanted = create_team_request(json_body(request));
        return json_response(team_resource(context.commands.create_team(wanted, principal)));
      },
      [context](const Request& /*request*/, const Principal& principal, const std::string& id) {
        return json_response(team_resource(context.queries.team(core::parse_int(id).value_or(0), principal)));
      });
  routes.add({.method = "GET",
              .path = "/teams/{id}",
              .operation = "teams-get",
              .tag = "Teams",
              .summary = "One team",
              .base = Base::kContract,
              .scope = Scope::kAny,
              .path_parameters = {team_in_path()},
              .tagged = true,
              .answer = ref("Team")},
             [context](const Request& request, const Principal& principal) {
               return json_response(team_resource(context.queries.team(path_team(request), principal)));
             });
  routes.add({.method = "POST",
              .path = "/teams/{id}/recovery-kit",
              .operation = "teams-exportRecoveryKit",
              .tag = "Teams",
              .summary = "The recovery kit, which opens the team's backups without Backstay's state",
              .scope = Scope::kWrite,
              .path_parameters = {team_in_path()},
              .answer = ref("RecoveryKit")},
             [context](const Request& request, const Principal& principal) {
               const auto id = path_team(request);
               const std::string kit = context.commands.export_recovery_kit(id, principal);
               return json_response(core::json::object{{"teamId", id}, {"text", kit}});
             });
}

}  // namespace backstay::api::house
