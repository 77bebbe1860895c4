// What the audit log keeps of one request: never its body, its headers, or what its answer shows once.
#pragma once

#include "api/endpoint.h"
#include "http/types.h"
#include "model/audit.h"

namespace backstay::api {

/// All but who asked, when, and why it was refused.
model::AuditEntry audit_entry(const Endpoint& endpoint, const http::Request& request, const http::Response& response);

}  // namespace backstay::api
