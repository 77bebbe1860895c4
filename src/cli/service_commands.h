// `services`: what a team deployed.
#pragma once

#include "cli/command_context.h"
#include "cli/operation_progress.h"

namespace backstay::cli {

inline constexpr std::string_view kServices = "/api/managed-services";

void add_service_commands(CLI::App& program, CommandContext& context);

/// The service that a person means by its id or its name. Throws Error(not_found), or Error(config_error) naming the
/// ids where several services have the name.
core::json::value find_service(CommandContext& context, const std::string& id_or_name);
/// Its id alone; asks the server only for a name.
std::string find_service_id(CommandContext& context, const std::string& id_or_name);

/// After a change that answered with the service: waits for its operation if that was asked for, then shows it.
void finish_change(CommandContext& context, const core::json::value& answer, const WaitOptions& wait);

}  // namespace backstay::cli
