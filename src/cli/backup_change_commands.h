// `backups delete`, `backups pin` and `backups unpin`.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

/// Adds them to the group of `backups`.
void add_backup_change_commands(CLI::App& group, CommandContext& context);

}  // namespace backstay::cli
