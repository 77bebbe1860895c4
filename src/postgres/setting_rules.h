// The table of settings that users may choose. Internal to this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace backstay::postgres {

enum class SettingType { kInteger, kReal, kBoolean, kChoice, kTimeZone };

struct SettingRule {
  std::string_view name;
  SettingType type = SettingType::kInteger;
  std::string_view unit;  ///< "kB", "MB", "ms", "s" or empty: of a number without a unit
  double low = 0;
  double high = 0;
  std::string_view choices;  ///< of kChoice, separated by spaces
  bool restart = false;
};

std::span<const SettingRule> setting_rules();
/// Null if users may not choose a setting of this name.
const SettingRule* find_setting_rule(std::string_view name);
/// The value in its canonical form: a number in the rule's unit, on or off, a choice. Throws Error(invalid_argument)
/// that says what would be accepted.
std::string canonical_value(const SettingRule& rule, std::string_view text);
/// "a size from 64kB to 2147483647kB; takes effect at once": for people.
std::string describe(const SettingRule& rule);

}  // namespace backstay::postgres
