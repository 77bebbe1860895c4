// What the client's exit codes mean.
#pragma once

#include "core/error.h"

namespace backstay::cli {

enum class ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kNotFound = 3, kRefused = 4, kUnreachable = 5 };

/// The exit code for an error of a command: what a script can act on.
ExitCode exit_code_of(const core::Error& error);

}  // namespace backstay::cli
