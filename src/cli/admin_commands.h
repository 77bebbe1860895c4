// `destinations`, `tokens` and `teams`: what an administrator sets up.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_destination_commands(CLI::App& program, CommandContext& context);
void add_token_commands(CLI::App& program, CommandContext& context);
void add_team_commands(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
