// `audit`: who did what.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_audit_command(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
