// The options that describe a service to be made, and the request body they stand for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command_context.h"

namespace backstay::cli {

struct ServiceOptions {
  std::int64_t team = 0;
  std::string name;
  std::string provider;  // name or name:version
  std::int64_t plan = 0;
  std::vector<std::string> parameters;
  std::vector<std::string> config;
  std::vector<std::string> secret_files;
  std::vector<std::string> secret_questions;
  bool backups = false;
  bool no_backups = false;
  std::int64_t interval_h = 24;
  std::int64_t retention_days = 7;
  std::vector<std::string> backup_config;
  std::vector<std::string> backup_secret_files;
};

/// Which of the options a command offers.
void add_plan_options(CLI::App& command, ServiceOptions& options);
void add_backup_options(CLI::App& command, ServiceOptions& options);

/// The team named by --team, else the only one that the token sees. Throws Error(config_error) where there are several.
std::int64_t chosen_team(const CLI::App& command, std::int64_t named, CommandContext& context);

/// The value of `provider`: "postgresql:15" -> {"name","version"}.
core::json::object provider_reference(const std::string& text);
/// The value of `backups`, from the options alone.
core::json::object backups_block(const ServiceOptions& options, CommandContext& context);
/// The body of POST /managed-services, for the team in `options`.
core::json::object creation_body(const ServiceOptions& options, CommandContext& context);
/// The body of PATCH: only what was given on the command line.
core::json::object update_body(const CLI::App& command, const ServiceOptions& options, CommandContext& context);

}  // namespace backstay::cli
