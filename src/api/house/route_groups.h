// The groups that make up the house API's routes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/house/routes.h"
#include "api/route_table.h"

namespace backstay::api::house {

void add_service_routes(RouteTable& routes, const Context& context);
void add_provider_routes(RouteTable& routes, const Context& context);
void add_backup_routes(RouteTable& routes, const Context& context);
void add_backup_change_routes(RouteTable& routes, const Context& context);
void add_verification_routes(RouteTable& routes, const Context& context);
void add_schedule_routes(RouteTable& routes, const Context& context);
void add_import_routes(RouteTable& routes, const Context& context);
void add_switch_routes(RouteTable& routes, const Context& context);
void add_recovery_routes(RouteTable& routes, const Context& context);
void add_event_routes(RouteTable& routes, const Context& context);
void add_audit_routes(RouteTable& routes, const Context& context);
void add_operation_routes(RouteTable& routes, const Context& context);
void add_team_routes(RouteTable& routes, const Context& context);
void add_token_routes(RouteTable& routes, const Context& context);
void add_account_routes(RouteTable& routes, const Context& context);
void add_destination_routes(RouteTable& routes, const Context& context);
void add_webhook_routes(RouteTable& routes, const Context& context);
void add_health_routes(RouteTable& routes, const Context& context);
/// The calls' own description; `routes` is read at each request, so that it holds what is added later.
void add_docs_routes(RouteTable& routes, const Context& context);

}  // namespace backstay::api::house
