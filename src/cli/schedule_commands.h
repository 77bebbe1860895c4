// `schedules`: backups at times that are named.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_schedule_commands(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
