#include "postgres/settings.h"

#include <filesystem>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "postgres/setting_rules.h"

namespace backstay::postgres {
namespace {

namespace json = core::json;
using core::Code;
using core::Error;

/// The JSON value as setting text; nothing for an object, an array or null.
std::optional<std::string> as_setting_text(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string: return std::string(core::trim(value.as_string()));
    case json::kind::int64: return std::to_string(value.as_int64());
    case json::kind::uint64: return std::to_string(value.as_uint64());
    case json::kind::double_: return fmt::format("{}", value.as_double());
    case json::kind::bool_: return value.as_bool() ? "on" : "off";
    default: return std::nullopt;
  }
}

}  // namespace

SettingValues validate_settings(const json::object& config, std::string_view pointer) {
  SettingValues result;
  Error refused(Code::kInvalidArgument, "the configuration has settings that are not accepted");
  for (const auto& [key, value] : config) {
    const auto at = core::pointer_to(pointer, key);
    const auto* rule = find_setting_rule(key);
    if (rule == nullptr) {
      refused.with_field(at, fmt::format("'{}' is not a setting that can be chosen", std::string_view(key)));
      continue;
    }
    const auto text = as_setting_text(value);
    if (!text) {
      refused.with_field(at, "must be a text, a number or true or false");
      continue;
    }
    try {
      result.emplace(key, canonical_value(*rule, *text));
    } catch (const Error& e) {
      refused.with_field(at, e.message());
    }
  }
  if (refused.fields().empty()) return result;
  const auto& first = refused.fields().front();
  refused.add_context(fmt::format("{}: {}", first.pointer, first.message));
  throw refused;
}

bool is_user_setting(std::string_view name) { return find_setting_rule(name) != nullptr; }

json::object settings_schema_properties() {
  json::object result;
  for (const auto& rule : setting_rules()) {
    json::object property;
    property["description"] = describe(rule);
    property["type"] = json::array{"string", "number", "boolean"};
    if (rule.restart) property["x-restart"] = true;
    result[rule.name] = std::move(property);
  }
  return result;
}

SettingsChange compare_settings(const SettingValues& from, const SettingValues& to) {
  auto change = SettingsChange::kNone;
  for (const auto& rule : setting_rules()) {
    const auto before = from.find(std::string(rule.name));
    const auto after = to.find(std::string(rule.name));
    const bool same = before == from.end() ? after == to.end() : after != to.end() && before->second == after->second;
    if (same) continue;
    if (rule.restart) return SettingsChange::kRestart;
    change = SettingsChange::kReload;
  }
  return change;
}

}  // namespace backstay::postgres
