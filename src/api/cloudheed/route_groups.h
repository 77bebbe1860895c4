// The groups that make up Cloudheed's routes.
#pragma once

#include "api/cloudheed/routes.h"

namespace backstay::api::cloudheed {

void add_database_routes(RouteTable& routes, const Context& context);
void add_backup_routes(RouteTable& routes, const Context& context);
void add_recovery_routes(RouteTable& routes, const Context& context);
void add_account_routes(RouteTable& routes, const Context& context);
void add_key_routes(RouteTable& routes, const Context& context);

}  // namespace backstay::api::cloudheed
