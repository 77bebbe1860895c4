// Lnchr's calls (docs/compat/lnchr.md): destinations, databases, their backups and schedules, people and keys.
#pragma once

#include "api/authentication.h"
#include "api/import_request.h"
#include "api/route_table.h"
#include "control/accounts.h"
#include "control/queries.h"
#include "control/schedule_commands.h"
#include "control/service_commands.h"
#include "core/random.h"

namespace backstay::api::lnchr {

/// What the handlers work with; everything that is referred to outlives the router.
struct Context {
  control::ServiceCommands& commands;
  control::Queries& queries;
  control::ScheduleCommands& schedules;
  control::Accounts& accounts;
  const Authentication& authentication;
  ImportRequests& imports;
  /// Makes the passwords of databases whose requests name none.
  core::Random& random;
};

/// The table stays where it is while the router is used.
void add_routes(RouteTable& routes, const Context& context);

}  // namespace backstay::api::lnchr
