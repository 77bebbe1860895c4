#include "cli/recover_command.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/key_values.h"
#include "cli/service_commands.h"
#include "cli/service_request.h"
#include "core/error.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;
using core::json::value;

struct RecoverOptions : ServiceOptions, WaitOptions {
  std::string service;
  std::string time;
  std::string backup;
  std::vector<std::string> from_config;
  std::vector<std::string> from_secret_files;
  bool keep_logins = false;
};

value find_source(CommandContext& context, const RecoverOptions& options) {
  if (!options.service.empty()) return find_service(context, options.service);
  if (options.backup.empty()) {
    throw Error(Code::kConfigError, "what to recover is not named").with_hint("give --service and --time, or --backup");
  }
  const value backup = context.client().get("/api/backups/" + options.backup);
  return find_service(context, cell(backup, "serviceId"));
}

/// A service does not tell its team; its backups do, and without one there is nothing to recover.
std::int64_t team_of(CommandContext& context, const CLI::App& command, const RecoverOptions& options,
                     const value& source) {
  if (command.count("--team") > 0) return options.team;
  const value backups = context.client().get("/api/backups", {{"serviceId", cell(source, "id")}});
  if (backups.as_array().empty()) return chosen_team(command, options.team, context);
  return core::require_int(core::as_object(backups.as_array().front()), "teamId");
}

/// The source's plan, provider and settings hold for the new service where nothing else was said.
core::json::object recovery_body(const CLI::App& command, const RecoverOptions& options, CommandContext& context) {
  const value source = find_source(context, options);
  core::json::object body = creation_body(options, context);
  body["teamId"] = team_of(context, command, options, source);
  if (command.count("--provider") == 0) body["provider"] = source.at("provider");
  if (command.count("--plan") == 0) body["plan"] = source.at("plan");
  core::json::object config = source.at("config").as_object();
  for (const auto& [key, item] : parse_key_values(options.config)) config[key] = item;
  body["config"] = std::move(config);
  core::json::object from{
      {"config", parse_key_values(options.from_config)},
      {"secrets", read_secrets(options.from_secret_files, {}, context.files(), context.terminal())}};
  if (options.keep_logins) from["keepLogins"] = true;
  if (!options.backup.empty()) {
    from["id"] = options.backup;
  } else {
    from["msId"] = source.at("id");
    if (!options.time.empty()) from["time"] = options.time;
  }
  body["recoverFrom"] = std::move(from);
  return body;
}

}  // namespace

void add_recover_command(CLI::App& program, CommandContext& context) {
  auto options = std::make_shared<RecoverOptions>();
  auto* command = program.add_subcommand("recover", "make a new service from a past state; the source is not touched");
  command->add_option("name", options->name, "name of the new service")->required();
  auto* service = command->add_option("--service", options->service, "take this service, id or name, back in time");
  command->add_option("--time", options->time, "to this time, RFC 3339; without it to the latest state")
      ->needs(service);
  command->add_option("--backup", options->backup, "or to the state of this backup")->excludes(service);
  command->add_option("--team", options->team, "team id; the source's own if not given");
  command->add_option("--provider", options->provider, "name:version; the source's own if not given");
  command->add_option("--from-config", options->from_config, "where the backups are; what the source uses if not given")
      ->type_name("KEY=VALUE");
  command->add_option("--from-secret-file", options->from_secret_files, "the store's keys there")
      ->type_name("KEY=FILE");
  command->add_flag("--keep-logins", options->keep_logins,
                    "other roles than the application's may log in as they could then");
  add_plan_options(*command, *options);
  add_backup_options(*command, *options);
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options, command] {
    const value answer =
        context.client().send("POST", std::string(kServices), recovery_body(*command, *options, context));
    finish_change(context, answer, *options);
  });
}

}  // namespace backstay::cli
