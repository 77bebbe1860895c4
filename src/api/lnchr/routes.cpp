#include "api/lnchr/routes.h"

#include "api/lnchr/route_groups.h"

namespace backstay::api::lnchr {

void add_routes(RouteTable& routes, const Context& context) {
  add_destination_routes(routes, context);
  add_database_routes(routes, context);
  add_backup_routes(routes, context);
  add_recovery_routes(routes, context);
  add_import_routes(routes, context);
  add_schedule_routes(routes, context);
  add_account_routes(routes, context);
  add_volume_routes(routes);
}

}  // namespace backstay::api::lnchr
