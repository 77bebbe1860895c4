// The server's configuration: a TOML file, the environment, and the command line, in rising order of weight.
//
// Every setting is one row of the table in configuration.cpp: it is read from [section] key of the file and from
// BACKSTAY_SECTION_KEY of the environment, and docs/operations/configuration.md lists it. What is not in the table is
// refused with its place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backstay::app {

struct Configuration {
  std::string server_state_dir = "/var/lib/backstay";
  std::string server_state;
  std::string server_state_password_file;
  std::string server_services_dir;
  std::string server_listen = "127.0.0.1:8080";
  std::string server_public_url;
  std::string server_tls_certificate_file;
  std::string server_tls_key_file;
  std::string server_master_key_file;
  std::string server_log_level = "info";
  std::int64_t server_worker_threads = 8;
  std::int64_t server_max_body_bytes = 8 * 1024 * 1024;
  std::int64_t server_requests_per_second = 200;
  std::int64_t server_request_burst = 2000;
  std::int64_t server_refusals_per_second = 10;
  std::int64_t server_refusal_burst = 200;
  std::int64_t control_worker_threads = 4;
  std::int64_t control_keep_history_days = 90;
  std::int64_t control_removal_grace_hours = 24;
  std::int64_t control_rollback_grace_hours = 24;
  std::int64_t verification_every_hours = 24;
  std::int64_t verification_every_backups = 0;
  bool accounts_open_registration = false;
  std::int64_t guidewire_max_retention_days = 14;
  bool guidewire_bare_lists = false;
  std::vector<std::string> cloudheed_regions = {"fsn1", "nbg1", "hel1", "ash", "hil", "sin"};
  std::string postgres_service_address = "127.0.0.1";
  std::vector<std::string> postgres_installation_roots = {"/usr/lib/postgresql"};
  std::string postgres_restore_helper_file;
  std::int64_t postgres_full_backup_days = 30;
  std::int64_t postgres_full_backup_after = 100;
  std::int64_t postgres_look_seconds = 30;
  std::int64_t postgres_first_port = 20000;
  std::int64_t postgres_last_port = 29999;
  std::int64_t postgres_first_uid = 70000;
  std::int64_t postgres_last_uid = 79999;
  std::int64_t import_max_upload_bytes = std::int64_t{10} << 30;
  std::vector<std::string> import_roots;
  std::vector<std::string> stores_directory_roots;
  std::string stores_ca_file;
  bool stores_allow_loopback = true;
  bool stores_allow_private_networks = true;
};

/// Looks one variable of the environment up; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
/// The names of all variables that are set, for finding misspelt ones.
using EnvironmentNames = std::vector<std::string>;

/// Reads the file's text into `configuration`. Throws Error(config_error) that names `source` and the line for a syntax
/// error, an unknown section or key, a wrong type or a value out of range.
void read_file_settings(Configuration& configuration, std::string_view text, std::string_view source);
/// Reads BACKSTAY_SECTION_KEY variables: lists are separated by commas, booleans are true or false. Throws
/// Error(config_error) that names the variable; also for a name of a known section that is no setting.
void read_environment_settings(Configuration& configuration, const Environment& environment,
                               const EnvironmentNames& names);
/// Where directory stores are allowed if the operator names nothing: "stores" in the services directory.
std::string default_directory_root(const Configuration& configuration);
/// Checks what spans settings and fills what follows from the state directory. Throws Error(config_error).
void complete(Configuration& configuration);

/// The reference table of the configuration page, in Markdown.
std::string configuration_reference();

}  // namespace backstay::app
