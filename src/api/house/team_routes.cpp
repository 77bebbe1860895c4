#include "api/house/bodies.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;

constexpr int kRoleAdmin = 0;
constexpr int kRoleMember = 1;

}  // namespace

void add_team_routes(http::Router& router, const Context& context) {
  add_contract(router, context, "GET", "/teams", [context](const Request& /*request*/, const Principal& principal) {
    core::json::array array;
    for (const auto& team : context.queries.teams(principal)) {
      auto resource = team_resource(team);
      resource["role"] = principal.admin ? kRoleAdmin : kRoleMember;
      array.push_back(std::move(resource));
    }
    return json_response(array);
  });
  add_contract(router, context, "POST", "/teams", [context](const Request& request, const Principal& principal) {
    const auto wanted = create_team_request(json_body(request));
    return json_response(team_resource(context.commands.create_team(wanted, principal)));
  });
  add_contract(router, context, "GET", "/teams/{id}", [context](const Request& request, const Principal& principal) {
    return json_response(team_resource(context.queries.team(path_team(request), principal)));
  });
  add_own(router, context, "POST", "/teams/{id}/recovery-kit",
          [context](const Request& request, const Principal& principal) {
            const auto id = path_team(request);
            const std::string kit = context.commands.export_recovery_kit(id, principal);
            return json_response(core::json::object{{"teamId", id}, {"text", kit}});
          });
}

}  // namespace backstay::api::house
