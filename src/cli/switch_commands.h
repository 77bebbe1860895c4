// `services restore`, `services switch`, `services instances`: taking a service itself back in time.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

/// Adds them to the group `services`.
void add_switch_commands(CLI::App& group, CommandContext& context);

}  // namespace backstay::cli
