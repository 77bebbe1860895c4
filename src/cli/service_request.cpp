#include "cli/service_request.h"

#include <CLI/CLI.hpp>

#include "cli/key_values.h"
#include "core/error.h"

namespace backstay::cli {

void add_plan_options(CLI::App& command, ServiceOptions& options) {
  command.add_option("--plan", options.plan, "plan id, see 'backstay providers show'");
  command.add_option("--parameter", options.parameters, "plan parameter, key=number")->type_name("KEY=NUMBER");
  command.add_option("--config", options.config, "setting, key=text or key:=json")->type_name("KEY=VALUE");
  command.add_option("--secret-file", options.secret_files, "secret from a file, key=FILE; FILE - is standard input")
      ->type_name("KEY=FILE");
  command.add_option("--ask-secret", options.secret_questions, "secret typed at the terminal")->type_name("KEY");
}

void add_backup_options(CLI::App& command, ServiceOptions& options) {
  auto* on = command.add_flag("--backups", options.backups, "take backups");
  command.add_flag("--no-backups", options.no_backups, "take no backups")->excludes(on);
  command.add_option("--interval-hours", options.interval_h, "a backup every so many hours")->check(CLI::Range(1, 730));
  command.add_option("--retention-days", options.retention_days, "kept for so many days")->check(CLI::Range(1, 365));
  command
      .add_option("--backup-config", options.backup_config,
                  "where backups go: destinationPath=s3://bucket/prefix, endpointUrl=…")
      ->type_name("KEY=VALUE");
  command
      .add_option("--backup-secret-file", options.backup_secret_files,
                  "the store's keys: accessKey=FILE, secretKey=FILE")
      ->type_name("KEY=FILE");
}

std::int64_t chosen_team(const CLI::App& command, std::int64_t named, CommandContext& context) {
  if (command.count("--team") > 0) return named;
  const core::json::value teams = context.client().get("/api/teams");
  if (teams.as_array().size() != 1) {
    throw core::Error(core::Code::kConfigError, "the token sees more than one team, or none")
        .with_hint("name one with --team; see 'backstay teams list'");
  }
  return core::require_int(core::as_object(teams.as_array().front()), "id");
}

core::json::object provider_reference(const std::string& text) {
  core::json::object out;
  const auto colon = text.find(':');
  out["name"] = text.substr(0, colon);
  if (colon != std::string::npos) out["version"] = text.substr(colon + 1);
  return out;
}

core::json::object backups_block(const ServiceOptions& options, CommandContext& context) {
  return {{"enabled", true},
          {"intervalH", options.interval_h},
          {"deleteRetentionDays", options.retention_days},
          {"config", parse_key_values(options.backup_config)},
          {"secrets", read_secrets(options.backup_secret_files, {}, context.files(), context.terminal())}};
}

core::json::object creation_body(const ServiceOptions& options, CommandContext& context) {
  core::json::object body{
      {"teamId", options.team},
      {"name", options.name},
      {"provider", provider_reference(options.provider)},
      {"plan", core::json::object{{"id", options.plan}, {"parameters", parse_numbers(options.parameters)}}},
      {"config", parse_key_values(options.config)},
      {"secrets", read_secrets(options.secret_files, options.secret_questions, context.files(), context.terminal())}};
  if (options.backups) body["backups"] = backups_block(options, context);
  return body;
}

core::json::object update_body(const CLI::App& command, const ServiceOptions& options, CommandContext& context) {
  core::json::object body;
  if (command.count("--name") > 0) body["name"] = options.name;
  if (command.count("--plan") > 0) {
    body["plan"] = core::json::object{{"id", options.plan}, {"parameters", parse_numbers(options.parameters)}};
  }
  if (!options.config.empty()) body["config"] = parse_key_values(options.config);
  if (!options.secret_files.empty() || !options.secret_questions.empty()) {
    body["secrets"] = read_secrets(options.secret_files, options.secret_questions, context.files(), context.terminal());
  }
  core::json::object backups;
  if (options.backups || options.no_backups) backups["enabled"] = options.backups;
  if (command.count("--interval-hours") > 0) backups["intervalH"] = options.interval_h;
  if (command.count("--retention-days") > 0) backups["deleteRetentionDays"] = options.retention_days;
  if (!options.backup_config.empty()) backups["config"] = parse_key_values(options.backup_config);
  if (!options.backup_secret_files.empty()) {
    backups["secrets"] = read_secrets(options.backup_secret_files, {}, context.files(), context.terminal());
  }
  if (!backups.empty()) body["backups"] = backups;
  return body;
}

}  // namespace backstay::cli
