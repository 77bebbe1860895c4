// JSON answers.
#pragma once

#include "core/json.h"
#include "http/types.h"

namespace backstay::api {

/// An answer of application/json that no cache keeps.
http::Response json_response(const core::json::value& body, int status = 200);

/// The request's body as a JSON object. Throws Error(malformed_json) or Error(invalid_argument).
core::json::object json_body(const http::Request& request);

}  // namespace backstay::api
