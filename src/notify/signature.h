// Standard Webhooks signatures: who gets a message can tell that Backstay sent it, unchanged, and lately.
#pragma once

#include <string>
#include <string_view>

#include "core/secret.h"
#include "core/time.h"

namespace backstay::notify {

/// "v1,<base64>" of HMAC-SHA256 over "<id>.<seconds>.<body>". `secret` is "whsec_" and the key in base64; throws
/// Error(invalid_argument) for another one.
std::string sign(const core::Secret& secret, std::string_view id, core::Timestamp at, std::string_view body);

/// The seconds since 1970 that are signed, and sent as webhook-timestamp.
std::string signed_time(core::Timestamp at);

}  // namespace backstay::notify
