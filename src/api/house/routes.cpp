#include "api/house/routes.h"

#include "api/house/route_groups.h"
#include "api/house/schemas.h"

namespace backstay::api::house {

RouteTable make_route_table(http::Router& router, RouteServices services) {
  return {router, services, component_schemas()};
}

void add_routes(RouteTable& routes, const Context& context) {
  add_provider_routes(routes, context);
  add_service_routes(routes, context);
  add_backup_routes(routes, context);
  add_backup_change_routes(routes, context);
  add_verification_routes(routes, context);
  add_schedule_routes(routes, context);
  add_recovery_routes(routes, context);
  add_import_routes(routes, context);
  add_switch_routes(routes, context);
  add_event_routes(routes, context);
  add_audit_routes(routes, context);
  add_operation_routes(routes, context);
  add_team_routes(routes, context);
  add_token_routes(routes, context);
  add_account_routes(routes, context);
  add_destination_routes(routes, context);
  add_webhook_routes(routes, context);
  add_health_routes(routes, context);
  add_docs_routes(routes, context);
}

}  // namespace backstay::api::house
