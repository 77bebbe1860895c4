// What is kept of a password: enough to know it again, too slow to guess it from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/random.h"
#include "core/secret.h"

namespace backstay::control {

/// PBKDF2 with HMAC-SHA-256 and a salt of its own: "pbkdf2-sha256:<rounds>:<salt>:<key>", both in hexadecimal.
std::string hash_password(const core::Secret& password, std::uint32_t rounds, core::Random& random);
/// Takes as long whether it matches or not. A hash that is none of ours matches nothing.
bool matches_password(const core::Secret& password, std::string_view hash);

}  // namespace backstay::control
