#include "app/configuration.h"

#include <array>
#include <limits>
#include <span>
#include <variant>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace backstay::app {
namespace {

using core::Code;
using core::Error;

using Text = std::string Configuration::*;
using Number = std::int64_t Configuration::*;
using Flag = bool Configuration::*;
using List = std::vector<std::string> Configuration::*;

struct Setting {
  std::string_view section;
  std::string_view key;
  std::variant<Text, Number, Flag, List> field;
  std::string_view meaning;
  std::int64_t lowest = 0;
  std::int64_t highest = std::numeric_limits<std::int64_t>::max();

  [[nodiscard]] std::string name() const { return fmt::format("{}.{}", section, key); }
  [[nodiscard]] std::string variable() const {
    std::string text = fmt::format("BACKSTAY_{}_{}", section, key);
    for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return text;
  }
};

using C = Configuration;

const std::array kSettings = {
    Setting{"server", "state_dir", &C::server_state_dir,
            "where the state and the services live; made at the first start; one server at a time"},
    Setting{"server", "state", &C::server_state,
            "`postgresql://` URL of a database that keeps the state, for several servers; empty: a SQLite file in the "
            "state directory"},
    Setting{"server", "state_password_file", &C::server_state_password_file,
            "file with the password of the user that `state` names"},
    Setting{"server", "services_dir", &C::server_services_dir,
            "where the services live; servers that share a state share it; empty: the state directory"},
    Setting{"server", "listen", &C::server_listen,
            "address and port of the API; port 0 takes a free one, which `endpoint.json` in the state directory names"},
    Setting{"server", "public_url", &C::server_public_url,
            "the URL under which clients reach the API, for links in answers; empty: what it listens on"},
    Setting{"server", "tls_certificate_file", &C::server_tls_certificate_file,
            "PEM certificate chain; with `tls_key_file` the API speaks HTTPS only"},
    Setting{"server", "tls_key_file", &C::server_tls_key_file, "PEM private key of the certificate"},
    Setting{
        "server", "master_key_file", &C::server_master_key_file,
        "the key that seals the secrets of the state; made at the first start; must lie outside the state directory; "
        "empty: the systemd credential `backstay-master-key` if there is one, else the state directory's name "
        "with `.key` added"},
    Setting{"server", "log_level", &C::server_log_level, "`debug`, `info`, `warning` or `error`"},
    Setting{"server", "worker_threads", &C::server_worker_threads, "threads that answer requests", 1, 256},
    Setting{"server", "max_body_bytes", &C::server_max_body_bytes, "a larger request body is refused with 413", 1024,
            1 << 30},
    Setting{"server", "requests_per_second", &C::server_requests_per_second,
            "requests that one token may go on sending; more are refused with 429; 0: any number", 0, 1000000},
    Setting{"server", "request_burst", &C::server_request_burst,
            "requests that one token may send at once after a pause", 1, 1000000},
    Setting{"server", "refusals_per_second", &C::server_refusals_per_second,
            "requests without a valid token that one address may go on sending; 0: any number", 0, 1000000},
    Setting{"server", "refusal_burst", &C::server_refusal_burst,
            "requests without a valid token that one address may send at once after a pause", 1, 1000000},
    Setting{"control", "worker_threads", &C::control_worker_threads, "operations that run at the same time", 1, 64},
    Setting{"control", "keep_history_days", &C::control_keep_history_days,
            "how long events, and operations that have ended, are kept", 1, 36500},
    Setting{
        "control", "removal_grace_hours", &C::control_removal_grace_hours,
        "how long what is reading a backup may go on after the backup was to go: it is hidden at once and removed so "
        "much later",
        0, 8760},
    Setting{"control", "rollback_grace_hours", &C::control_rollback_grace_hours,
            "how long the data of an instance that was switched away from is kept, to be switched back to", 0, 8760},
    Setting{"verification", "every_hours", &C::verification_every_hours,
            "how old the last verification of a service's backups may be before its newest backup is restored to see "
            "that it works; 0: none by its age",
            0, 87600},
    Setting{"verification", "every_backups", &C::verification_every_backups,
            "after how many confirmed backups of a service the newest one is verified besides; 0: none by their number",
            0, 100000},
    Setting{"accounts", "open_registration", &C::accounts_open_registration,
            "whether the first account, a superadmin's, may be made by whoever comes first; else it takes the "
            "administrator's token"},
    Setting{"guidewire", "max_retention_days", &C::guidewire_max_retention_days,
            "the longest retention of a temporary backup", 1, 36500},
    Setting{"guidewire", "bare_lists", &C::guidewire_bare_lists,
            "whether lists of backups are bare arrays; else objects with `backups`"},
    Setting{"cloudheed", "regions", &C::cloudheed_regions,
            "the regions that Cloudheed's clients may name; all of them are this machine, and the first is that of "
            "databases which were made otherwise"},
    Setting{"postgres", "service_address", &C::postgres_service_address,
            "the address that database services listen on and that their details name"},
    Setting{"postgres", "full_backup_days", &C::postgres_full_backup_days,
            "after how many days a physical backup reads and stores all of the data anew, instead of what has changed "
            "since the one before; 0: always",
            0, 3650},
    Setting{"postgres", "full_backup_after", &C::postgres_full_backup_after,
            "after how many incremental backups of an instance the next one is full", 0, 100000},
    Setting{"postgres", "installation_roots", &C::postgres_installation_roots,
            "directories with one PostgreSQL major version in each subdirectory, as Debian lays them out, and "
            "installations of their own; of a major that is there twice the newest minor version runs"},
    Setting{"postgres", "restore_helper_file", &C::postgres_restore_helper_file,
            "the program that fetches WAL for a recovering server; empty: `backstay-restore-wal` beside this program"},
    Setting{"postgres", "look_seconds", &C::postgres_look_seconds,
            "how often what the archive of a service needs is listed, and its server's slot and branch are looked at; "
            "longer where a listing takes long",
            1, 3600},
    Setting{"postgres", "first_port", &C::postgres_first_port, "first port for database services", 1024, 65535},
    Setting{"postgres", "last_port", &C::postgres_last_port, "last port for database services", 1024, 65535},
    Setting{"postgres", "first_uid", &C::postgres_first_uid,
            "as root: first user number for services; nobody else on the machine may use the range", 1000, 4000000000},
    Setting{"postgres", "last_uid", &C::postgres_last_uid, "as root: last user number for services", 1000, 4000000000},
    Setting{"import", "max_upload_bytes", &C::import_max_upload_bytes,
            "a longer dump is not taken, neither as an upload nor from a URL", 1024, std::int64_t{1} << 50},
    Setting{"import", "roots", &C::import_roots,
            "dumps named by a path on this machine are imported from below these directories only; empty: none is"},
    Setting{"stores", "directory_roots", &C::stores_directory_roots,
            "backups to `file://` directories are allowed below these only; empty: `stores` in the services directory"},
    Setting{"stores", "ca_file", &C::stores_ca_file,
            "PEM certificates that S3 endpoints are checked against, instead of the system's authorities"},
    Setting{"stores", "allow_loopback", &C::stores_allow_loopback,
            "whether addresses given by tenants may be this machine's loopback"},
    Setting{"stores", "allow_private_networks", &C::stores_allow_private_networks,
            "whether addresses given by tenants may be in private networks"},
};

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::kConfigError, message); }

void set_number(Configuration& configuration, const Setting& setting, std::int64_t value, const std::string& place) {
  if (value < setting.lowest || value > setting.highest) {
    refuse(fmt::format("{} is {}, allowed are {} to {}", place, value, setting.lowest, setting.highest));
  }
  configuration.*std::get<Number>(setting.field) = value;
}

const Setting* find_setting(std::string_view section, std::string_view key) {
  for (const Setting& setting : kSettings) {
    if (setting.section == section && setting.key == key) return &setting;
  }
  return nullptr;
}

bool is_section(std::string_view name) {
  return std::any_of(kSettings.begin(), kSettings.end(), [&](const Setting& s) { return s.section == name; });
}

std::vector<std::string> read_list(const toml::node& node, const std::string& place) {
  const toml::array* array = node.as_array();
  if (array == nullptr) refuse(fmt::format("{} must be an array of strings", place));
  std::vector<std::string> items;
  for (const toml::node& item : *array) {
    const auto text = item.value_exact<std::string>();
    if (!text) refuse(fmt::format("{} must be an array of strings", place));
    items.push_back(*text);
  }
  return items;
}

void set_from_toml(Configuration& configuration, const Setting& setting, const toml::node& node,
                   const std::string& place) {
  if (const auto* text = std::get_if<Text>(&setting.field)) {
    const auto value = node.value_exact<std::string>();
    if (!value) refuse(fmt::format("{} must be a string", place));
    configuration.*(*text) = *value;
  } else if (std::holds_alternative<Number>(setting.field)) {
    const auto value = node.value_exact<std::int64_t>();
    if (!value) refuse(fmt::format("{} must be an integer", place));
    set_number(configuration, setting, *value, place);
  } else if (const auto* flag = std::get_if<Flag>(&setting.field)) {
    const auto value = node.value_exact<bool>();
    if (!value) refuse(fmt::format("{} must be true or false", place));
    configuration.*(*flag) = *value;
  } else {
    configuration.*std::get<List>(setting.field) = read_list(node, place);
  }
}

void set_from_text(Configuration& configuration, const Setting& setting, const std::string& value,
                   const std::string& place) {
  if (const auto* text = std::get_if<Text>(&setting.field)) {
    configuration.*(*text) = value;
  } else if (std::holds_alternative<Number>(setting.field)) {
    const auto number = core::parse_int(value);
    if (!number) refuse(fmt::format("{} is '{}', it must be an integer", place, value));
    set_number(configuration, setting, *number, place);
  } else if (const auto* flag = std::get_if<Flag>(&setting.field)) {
    if (value != "true" && value != "false") refuse(fmt::format("{} is '{}', it must be true or false", place, value));
    configuration.*(*flag) = value == "true";
  } else {
    std::vector<std::string> items;
    for (const std::string& item : core::split(value, ',')) {
      if (!core::trim(item).empty()) items.emplace_back(core::trim(item));
    }
    configuration.*std::get<List>(setting.field) = items;
  }
}

toml::table parse(std::string_view text, std::string_view source) {
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    refuse(fmt::format("{} line {}: {}", source, error.source().begin.line, error.description()));
  }
}

std::string default_text(const Setting& setting) {
  const Configuration defaults;
  if (const auto* text = std::get_if<Text>(&setting.field)) return fmt::format("\"{}\"", defaults.*(*text));
  if (const auto* number = std::get_if<Number>(&setting.field)) return fmt::format("{}", defaults.*(*number));
  if (const auto* flag = std::get_if<Flag>(&setting.field)) return defaults.*(*flag) ? "true" : "false";
  std::vector<std::string> items;
  for (const std::string& item : defaults.*std::get<List>(setting.field)) items.push_back(fmt::format("\"{}\"", item));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace

void read_file_settings(Configuration& configuration, std::string_view text, std::string_view source) {
  for (const auto& [section, node] : parse(text, source)) {
    const auto line = node.source().begin.line;
    const toml::table* table = node.as_table();
    if (!is_section(section.str()) || table == nullptr) {
      refuse(fmt::format("{} line {}: there is no section [{}]", source, line, section.str()));
    }
    for (const auto& [key, value] : *table) {
      const auto place = fmt::format("{} line {}: {}.{}", source, key.source().begin.line, section.str(), key.str());
      const Setting* setting = find_setting(section.str(), key.str());
      if (setting == nullptr) refuse(fmt::format("{} is no setting", place));
      set_from_toml(configuration, *setting, value, place);
    }
  }
}

void read_environment_settings(Configuration& configuration, const Environment& environment,
                               const EnvironmentNames& names) {
  for (const Setting& setting : kSettings) {
    const std::string variable = setting.variable();
    if (const auto value = environment(variable)) set_from_text(configuration, setting, *value, variable);
  }
  for (const std::string& name : names) {
    const auto words = core::split(core::to_lower(name), '_');
    if (words.size() < 3 || words[0] != "backstay" || !is_section(words[1])) continue;
    const bool known =
        std::any_of(kSettings.begin(), kSettings.end(), [&](const Setting& s) { return s.variable() == name; });
    if (!known) refuse(fmt::format("the variable {} names no setting", name));
  }
}

std::string default_directory_root(const Configuration& configuration) {
  return configuration.server_services_dir + "/stores";
}

void complete(Configuration& configuration) {
  if (configuration.server_state_dir.empty()) refuse("server.state_dir is empty");
  core::parse_log_level(configuration.server_log_level);
  if (configuration.server_tls_certificate_file.empty() != configuration.server_tls_key_file.empty()) {
    refuse("server.tls_certificate_file and server.tls_key_file must be given together");
  }
  std::string& url = configuration.server_public_url;
  while (url.ends_with('/')) url.pop_back();
  if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://")) {
    refuse(fmt::format("server.public_url '{}' begins neither with http:// nor with https://", url));
  }
  if (configuration.postgres_first_port > configuration.postgres_last_port) {
    refuse("postgres.first_port is above postgres.last_port");
  }
  if (configuration.postgres_first_uid > configuration.postgres_last_uid) {
    refuse("postgres.first_uid is above postgres.last_uid");
  }
  if (configuration.server_services_dir.empty()) configuration.server_services_dir = configuration.server_state_dir;
  for (std::string* directory : {&configuration.server_state_dir, &configuration.server_services_dir}) {
    const auto path = std::filesystem::absolute(*directory).lexically_normal();
    *directory = path.has_filename() ? path.string() : path.parent_path().string();
  }
  if (configuration.stores_directory_roots.empty()) {
    configuration.stores_directory_roots = {default_directory_root(configuration)};
  }
  for (const std::string& root : configuration.import_roots) {
    if (!root.starts_with('/')) refuse(fmt::format("import.roots: '{}' is not an absolute path", root));
  }
  for (const std::string& root : configuration.stores_directory_roots) {
    if (!root.starts_with('/')) refuse(fmt::format("stores.directory_roots: '{}' is not an absolute path", root));
  }
}

std::string configuration_reference() {
  std::string page = "| setting | environment | default | meaning |\n|---|---|---|---|\n";
  for (const Setting& setting : kSettings) {
    page += fmt::format("| `{}` | `{}` | `{}` | {} |\n", setting.name(), setting.variable(), default_text(setting),
                        setting.meaning);
  }
  return page;
}

}  // namespace backstay::app
