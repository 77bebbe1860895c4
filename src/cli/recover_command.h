// `recover`: a new service from a past state.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_recover_command(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
