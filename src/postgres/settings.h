// The settings a user may choose for a server: which, of what type and range, and what a change needs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace backstay::postgres {

/// Setting name -> value in the form it has in postgresql.conf before quoting. Ordered, so that files are stable.
using SettingValues = std::map<std::string, std::string>;

/// The settings among `config`'s keys, checked and in canonical form; strings, numbers and booleans are accepted for
/// all types ("100", 100, "on", true). Throws Error(invalid_argument) with one field <pointer>/<name> for every
/// setting that is unknown, not allowed or whose value is not; nothing that reaches a file, a library or a shell, and
/// nothing that backups rest on, is allowed.
SettingValues validate_settings(const core::json::object& config, std::string_view pointer = "/config");

/// True if users may choose this setting.
bool is_user_setting(std::string_view name);

/// JSON Schema of each setting, for the "properties" of a provider's config schema.
core::json::object settings_schema_properties();

/// What brings a running server from one set to the other.
enum class SettingsChange { kNone, kReload, kRestart };
SettingsChange compare_settings(const SettingValues& from, const SettingValues& to);

}  // namespace backstay::postgres
