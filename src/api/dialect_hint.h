// The advice of an error for those who speak another dialect than the house's.
#pragma once

#include <string>

#include "core/error.h"

namespace backstay::api {

/// The hint without the house's calls, which hints name in parentheses ("resume it (PATCH with pause false)"); empty
/// where the rest still names a call or a field of the house, which nobody else could act on.
std::string dialect_hint(const core::Error& error);

}  // namespace backstay::api
