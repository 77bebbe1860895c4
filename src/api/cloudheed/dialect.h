// Cloudheed: /v1/…, bare bodies, errors with a code, a message and details for each field.
#pragma once

#include "api/dialect.h"
#include "core/json.h"

namespace backstay::api::cloudheed {

extern const Dialect kDialect;

/// The schema of {"error": {code, message, details?, hint?}, "meta": {"request_id"}}.
core::json::object refusal_schema();

}  // namespace backstay::api::cloudheed
