#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "core/error.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;

std::string required_service(const Request& request) {
  const auto service = query_service(request);
  if (!service) {
    throw core::Error(core::Code::kInvalidArgument, "the query parameter 'serviceId' is missing")
        .with_field("?serviceId", "is required");
  }
  return *service;
}

}  // namespace

void add_backup_routes(http::Router& router, const Context& context) {
  control::Queries& queries = context.queries;
  add_own(router, context, "GET", "/backups", [&queries](const Request& request, const Principal& principal) {
    core::json::array array;
    for (const auto& backup : queries.backups(required_service(request), principal)) {
      array.push_back(backup_resource(backup));
    }
    return json_response(array);
  });
  add_own(router, context, "GET", "/backups/{id}", [&queries](const Request& request, const Principal& principal) {
    return json_response(backup_resource(queries.backup(path_uuid(request, "backup"), principal)));
  });
  add_own(router, context, "GET", "/managed-services/{id}/recovery-window",
          [&queries](const Request& request, const Principal& principal) {
            const std::string id = path_uuid(request, "managed service");
            return json_response(
                window_resource(id, queries.recovery_window(id, principal), queries.at_risk(id, principal)));
          });
  add_own(router, context, "GET", "/events", [&queries](const Request& request, const Principal& principal) {
    const control::EventFilter filter{.service_id = query_service(request),
                                      .team_id = query_team(request),
                                      .after = query_integer(request, "after"),
                                      .limit = query_limit(request)};
    core::json::array array;
    for (const auto& event : queries.events(filter, principal)) array.push_back(event_resource(event));
    return json_response(array);
  });
}

}  // namespace backstay::api::house
