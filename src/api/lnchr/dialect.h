// Lnchr: /api/v1/… and /<tenant>/api/v1/…, everything in an envelope.
#pragma once

#include "api/dialect.h"
#include "core/json.h"

namespace backstay::api::lnchr {

extern const Dialect kDialect;

/// {"success": true, "data": …}
http::Response success(const core::json::value& data, int status = 200);
/// The schema of such an answer.
core::json::object success_schema(const core::json::object& data);
/// {"success": false, "error": {code, message}}, with "details" and "hint" where there are any.
core::json::object refusal_schema();

}  // namespace backstay::api::lnchr
