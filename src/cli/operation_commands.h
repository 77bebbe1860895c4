// `operations` and `events`: what is being done, and what happened.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_operation_commands(CLI::App& program, CommandContext& context);
void add_events_command(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
