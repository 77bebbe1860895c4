// Cloudheed's calls (docs/compat/cloudheed.md): databases, their backups, recovery to a time, people and their keys.
#pragma once

#include <string>
#include <vector>

#include "api/route_table.h"
#include "control/accounts.h"
#include "control/operation_feed.h"
#include "control/queries.h"
#include "control/service_commands.h"
#include "core/random.h"
#include "core/time.h"

namespace backstay::api::cloudheed {

/// What the handlers work with; everything that is referred to outlives the table.
struct Context {
  control::ServiceCommands& commands;
  control::Queries& queries;
  control::Accounts& accounts;
  const control::OperationFeed& feed;
  core::Clock& clock;
  /// Makes the passwords of databases.
  core::Random& random;
  /// Those that a client may name; not empty. The first is that of databases which were made otherwise.
  std::vector<std::string> regions;
};

/// The table stays where it is while the router is used.
void add_routes(RouteTable& routes, const Context& context);

}  // namespace backstay::api::cloudheed
