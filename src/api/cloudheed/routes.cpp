#include "api/cloudheed/routes.h"

#include "api/cloudheed/route_groups.h"
#include "core/error.h"

namespace backstay::api::cloudheed {

void add_routes(RouteTable& routes, const Context& context) {
  if (context.regions.empty()) throw core::Error(core::Code::kConfigError, "cloudheed.regions names no region");
  add_database_routes(routes, context);
  add_backup_routes(routes, context);
  add_recovery_routes(routes, context);
  add_account_routes(routes, context);
  add_key_routes(routes, context);
}

}  // namespace backstay::api::cloudheed
