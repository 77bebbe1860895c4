// The groups that make up Lnchr's routes.
#pragma once

#include "api/lnchr/routes.h"

namespace backstay::api::lnchr {

void add_destination_routes(RouteTable& routes, const Context& context);
void add_database_routes(RouteTable& routes, const Context& context);
void add_backup_routes(RouteTable& routes, const Context& context);
void add_recovery_routes(RouteTable& routes, const Context& context);
void add_import_routes(RouteTable& routes, const Context& context);
void add_schedule_routes(RouteTable& routes, const Context& context);
void add_account_routes(RouteTable& routes, const Context& context);
/// Calls that are understood and refused: there are no applications and no volumes.
void add_volume_routes(RouteTable& routes);

}  // namespace backstay::api::lnchr
