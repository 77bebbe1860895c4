// `providers`: the catalogue.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_provider_commands(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
