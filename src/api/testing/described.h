// Whether what the API does is what its document says.
#pragma once

#include "core/json.h"
#include "http/types.h"

namespace backstay::api::testing {

/// Fails the running test unless the document describes the request's call, its status and its body; and unless a
/// request that was a success keeps to its description. Fields of an answer that the document does not name fail too.
void expect_described(const http::Request& request, const http::Response& response, const core::json::object& document);

}  // namespace backstay::api::testing
