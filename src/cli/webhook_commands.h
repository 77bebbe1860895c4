// `webhooks`: who is told of events over HTTP, and what became of each message.
#pragma once

#include "cli/command_context.h"

namespace backstay::cli {

void add_webhook_commands(CLI::App& program, CommandContext& context);

}  // namespace backstay::cli
