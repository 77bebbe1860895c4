// `backups` and `window`: what there is to go back to.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_backup_commands(CLI::App& program, CommandContext& context);
void add_window_command(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
