// The adapter contract: Backstay as the backend of another platform, or of another Backstay.
//
// Every provider that is built in is served at /api/adapter/{provider}/{schemaVersion}; that address is the endpoint to
// publish elsewhere, with a token of one team as its secret.
#pragma once

#include "api/dialect.h"
#include "api/route_table.h"
#include "control/external_services.h"

namespace backstay::api::adapter {

/// `services` outlives the table.
void add_routes(RouteTable& routes, control::ExternalServices& services);

/// Refusals are {"error": "<text>"} with the contract's codes: 400, 401, 404, 409, 501, 502 for what something else is
/// to blame for, and 500 without particulars. Callers differ in how they send their key: as a bearer, bare, or as
/// X-API-Key.
extern const Dialect kDialect;

}  // namespace backstay::api::adapter
