// Errors on the wire: the house envelope {status,title,detail,traceId,code,errors,hint}, and each dialect's own form.
#pragma once

#include <string_view>

#include "core/error.h"
#include "http/types.h"

namespace backstay::api {

/// True if the path is `segment` or lies below it.
bool begins_with_segment(std::string_view path, std::string_view segment);

/// True for a path of Codesphere's contract (/managed-services…, /teams…, also below /api), whose clients know the
/// refusals 400, 401 and 404 only.
bool is_codesphere_path(std::string_view path);

/// The status that an error has on this request: the catalogue's, narrowed on Codesphere's paths. Limits of the
/// transport (408, 413, 429, 431) and faults of the server (5xx but for 501) stay what they are.
int status_of(const http::Request& request, core::Code code);

/// Adds what says how long to wait: Retry-After, and what is left of a rate limit.
void add_waiting(const core::Error& error, int status, http::Response& response);

/// Renders an error for the house API. `status` in the body equals the answer's own.
http::Response house_error_response(const http::Request& request, const core::Error& error);
/// Renders an error as the dialect of the request's path has it.
http::Response error_response(const http::Request& request, const core::Error& error);

}  // namespace backstay::api
