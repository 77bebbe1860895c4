// The house API's routes: Codesphere's contract at /… and /api/…, Backstay's own calls below /api.
#pragma once

#include <functional>
#include <string>

#include "api/authentication.h"
#include "api/event_streams.h"
#include "api/import_request.h"
#include "api/route_table.h"
#include "control/accounts.h"
#include "control/operation_feed.h"
#include "control/provider_commands.h"
#include "control/queries.h"
#include "control/schedule_commands.h"
#include "control/service_commands.h"
#include "control/verification_commands.h"
#include "control/webhook_commands.h"
#include "core/metrics.h"
#include "core/time.h"
#include "http/router.h"

namespace backstay::api::house {

/// What the handlers work with; everything that is referred to outlives the router.
struct Context {
  control::ServiceCommands& commands;
  control::ProviderCommands& providers;
  control::Queries& queries;
  control::WebhookCommands& webhooks;
  control::ScheduleCommands& schedules;
  control::Accounts& accounts;
  control::OperationFeed& feed;
  ImportRequests& imports;
  const Authentication& authentication;
  EventStreams& streams;
  core::Clock& clock;
  const core::Metrics& metrics;
  control::VerificationCommands& verifications;
  /// True once the server takes work.
  std::function<bool()> ready;
  /// Scheme and host under which clients reach us; empty: what their own request says.
  std::string public_url;
  /// Of the program, for the API's own description.
  std::string version;
};

/// A table for the house API and what stands beside it, without routes yet.
RouteTable make_route_table(http::Router& router, RouteServices services);

/// Adds every route of the house API, /health, /ready, /metrics, and the description of all that the table holds. The
/// table stays where it is while the router is used.
void add_routes(RouteTable& routes, const Context& context);

}  // namespace backstay::api::house
