// The house API's routes: Codesphere's contract at /… and /api/…, Backstay's own calls below /api.
#pragma once

#include <functional>
#include <string>

#include "api/authentication.h"
#include "control/operation_feed.h"
#include "control/queries.h"
#include "control/service_commands.h"
#include "core/metrics.h"
#include "http/router.h"

namespace backstay::api::house {

/// What the handlers work with; everything that is referred to outlives the router.
struct Context {
  control::ServiceCommands& commands;
  control::Queries& queries;
  control::OperationFeed& feed;
  const Authentication& authentication;
  const core::Metrics& metrics;
  /// True once the server takes work.
  std::function<bool()> ready;
  /// Scheme and host under which clients reach us; empty: what their own request says.
  std::string public_url;
};

/// Adds every route of the house API and the unauthenticated ones (/health, /ready) and /metrics.
void add_routes(http::Router& router, const Context& context);

}  // namespace backstay::api::house
