// What the event of a refused request says: about which service or team, and why; nothing of what the request held.
#pragma once

#include <optional>

#include "api/endpoint.h"
#include "control/principal.h"
#include "control/refusal_events.h"
#include "core/error.h"
#include "http/types.h"

namespace backstay::api {

/// Nothing for a fault of the server, for a dry run, and for a call that is about no service, backup, schedule or
/// operation, in whatever dialect.
std::optional<control::RefusedRequest> refused_request(const Endpoint& endpoint, const http::Request& request,
                                                       const control::Principal& principal, const core::Error& error);

}  // namespace backstay::api
