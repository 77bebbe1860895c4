// Guidewire's Database API: /api/v1/tenants/…, tokens from /oauth2/…, errors as Spring has them.
#pragma once

#include "api/dialect.h"
#include "core/json.h"

namespace backstay::api::guidewire {

extern const Dialect kDialect;

/// The schema of {"timestamp", "status", "error", "message", "path"}.
core::json::object refusal_schema();

}  // namespace backstay::api::guidewire
