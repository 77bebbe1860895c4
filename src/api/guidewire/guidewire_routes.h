// Guidewire's calls: backups of planets, their restoring, and tokens by OAuth 2 client credentials.
//
// A tenant is a team by its slug, a star system the services with one label guidewire.project, a planet one of them;
// docs/compat/guidewire.md says how.
#pragma once

#include "api/rate_limits.h"
#include "api/route_table.h"
#include "control/client_access.h"
#include "control/queries.h"
#include "control/service_commands.h"

namespace backstay::api::guidewire {

/// What the handlers work with; everything that is referred to outlives the table.
struct Context {
  control::ServiceCommands& commands;
  control::Queries& queries;
  control::ClientAccess& access;
  RateLimiter& limits;
  /// Lists of backups are arrays; else objects with "backups".
  bool bare_lists = false;
};

void add_routes(RouteTable& routes, const Context& context);

/// POST /oauth2/{authServer}/v1/token.
void add_token_routes(RouteTable& routes, const Context& context);

}  // namespace backstay::api::guidewire
