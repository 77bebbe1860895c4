// services import: a dump into a running service.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_import_command(CLI::App& group, CommandContext& context);

}  // namespace backstay::cli
