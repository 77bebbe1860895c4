#include "cli/house_commands.h"

#include <cstdlib>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/admin_commands.h"
#include "cli/audit_command.h"
#include "cli/backup_commands.h"
#include "cli/command_context.h"
#include "cli/operation_commands.h"
#include "cli/provider_commands.h"
#include "cli/recover_command.h"
#include "cli/schedule_commands.h"
#include "cli/service_commands.h"
#include "cli/webhook_commands.h"

namespace backstay::cli {
namespace {

/// What the commands use when a person runs them; kept alive by the program's commands.
struct World {
  os::RealFileSystem files;
  core::SystemClock clock;
  SystemTerminal terminal;
};

std::optional<std::string> environment_value(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing changes the environment
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::unique_ptr<http::Transport> make_client(const Connection& connection) {
  http::ClientConfig config;
  config.ca_file = connection.ca_file;
  // A stream of events is silent for as long as nothing happens; every request has its own deadline.
  config.stall_time = std::chrono::hours(24);
  return std::make_unique<http::Client>(std::move(config));
}

}  // namespace

void add_house_commands(CLI::App& program, CommandContext& context) {
  add_provider_commands(program, context);
  add_service_commands(program, context);
  add_backup_commands(program, context);
  add_schedule_commands(program, context);
  add_recover_command(program, context);
  add_window_command(program, context);
  add_operation_commands(program, context);
  add_events_command(program, context);
  add_webhook_commands(program, context);
  add_audit_command(program, context);
  add_destination_commands(program, context);
  add_token_commands(program, context);
  add_team_commands(program, context);
}

void add_house_commands(CLI::App& program) {
  struct Owned {
    World world;
    CommandContext context{{make_client, world.files, world.clock, world.terminal, environment_value}};
  };
  auto owned = std::make_shared<Owned>();
  add_house_commands(program, owned->context);
  // The callbacks borrow it; one of the commands keeps it, and all commands go together.
  program.get_subcommand("providers")->parse_complete_callback([owned] {});
}

}  // namespace backstay::cli
