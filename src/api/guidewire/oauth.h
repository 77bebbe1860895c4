// OAuth 2 on the wire: forms, Basic authentication, and how refusals look.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "core/secret.h"
#include "http/types.h"

namespace backstay::api::guidewire {

using FormFields = std::map<std::string, std::string, std::less<>>;

/// The fields of a body of application/x-www-form-urlencoded. Throws Error(invalid_argument) for another type, a broken
/// escape and a field that is there twice.
FormFields form_of(const http::Request& request);
/// User and password; nothing without Basic authentication. Throws Error(invalid_argument) for what is none.
std::optional<std::pair<std::string, core::Secret>> basic_credentials(const http::Request& request);

/// {"error", "error_description"}
http::Response oauth_refusal(const core::Error& error);
core::json::object oauth_refusal_schema();

}  // namespace backstay::api::guidewire
