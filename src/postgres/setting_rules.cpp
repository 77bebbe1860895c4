#include "postgres/setting_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;
using enum SettingType;

constexpr double kMaxInt = 2147483647;

// Nothing here names a file, a program or a library, weakens durability of what was acknowledged beyond the user's own
// transactions, or touches what backups and replication rest on. Memory areas that the plan decides are left out.
constexpr auto kRules = std::to_array<SettingRule>({
    {"authentication_timeout", kInteger, "s", 1, 600, "", false},
    {"autovacuum", kBoolean, "", 0, 0, "", false},
    {"autovacuum_analyze_scale_factor", kReal, "", 0, 100, "", false},
    {"autovacuum_analyze_threshold", kInteger, "", 0, kMaxInt, "", false},
    {"autovacuum_max_workers", kInteger, "", 1, 64, "", true},
    {"autovacuum_naptime", kInteger, "s", 1, 2147483, "", false},
    {"autovacuum_vacuum_cost_delay", kReal, "ms", -1, 100, "", false},
    {"autovacuum_vacuum_cost_limit", kInteger, "", -1, 10000, "", false},
    {"autovacuum_vacuum_scale_factor", kReal, "", 0, 100, "", false},
    {"autovacuum_vacuum_threshold", kInteger, "", 0, kMaxInt, "", false},
    {"autovacuum_work_mem", kInteger, "kB", -1, kMaxInt, "", false},
    {"bytea_output", kChoice, "", 0, 0, "hex escape", false},
    {"checkpoint_completion_target", kReal, "", 0, 1, "", false},
    {"checkpoint_timeout", kInteger, "s", 30, 86400, "", false},
    {"deadlock_timeout", kInteger, "ms", 1, kMaxInt, "", false},
    {"default_statistics_target", kInteger, "", 1, 10000, "", false},
    {"default_transaction_isolation", kChoice, "", 0, 0, "read_committed repeatable_read serializable read_uncommitted",
     false},
    {"effective_io_concurrency", kInteger, "", 0, 1000, "", false},
    {"enable_hashjoin", kBoolean, "", 0, 0, "", false},
    {"enable_mergejoin", kBoolean, "", 0, 0, "", false},
    {"enable_nestloop", kBoolean, "", 0, 0, "", false},
    {"enable_partitionwise_aggregate", kBoolean, "", 0, 0, "", false},
    {"enable_partitionwise_join", kBoolean, "", 0, 0, "", false},
    {"enable_seqscan", kBoolean, "", 0, 0, "", false},
    {"from_collapse_limit", kInteger, "", 1, kMaxInt, "", false},
    {"idle_in_transaction_session_timeout", kInteger, "ms", 0, kMaxInt, "", false},
    {"jit", kBoolean, "", 0, 0, "", false},
    {"join_collapse_limit", kInteger, "", 1, kMaxInt, "", false},
    {"lock_timeout", kInteger, "ms", 0, kMaxInt, "", false},
    {"log_autovacuum_min_duration", kInteger, "ms", -1, kMaxInt, "", false},
    {"log_connections", kBoolean, "", 0, 0, "", false},
    {"log_disconnections", kBoolean, "", 0, 0, "", false},
    {"log_lock_waits", kBoolean, "", 0, 0, "", false},
    {"log_min_duration_statement", kInteger, "ms", -1, kMaxInt, "", false},
    {"log_statement", kChoice, "", 0, 0, "none ddl mod all", false},
    {"log_temp_files", kInteger, "kB", -1, kMaxInt, "", false},
    {"maintenance_work_mem", kInteger, "kB", 1024, kMaxInt, "", false},
    {"max_connections", kInteger, "", 10, 10000, "", true},
    {"max_locks_per_transaction", kInteger, "", 10, 100000, "", true},
    {"max_parallel_maintenance_workers", kInteger, "", 0, 1024, "", false},
    {"max_parallel_workers", kInteger, "", 0, 1024, "", false},
    {"max_parallel_workers_per_gather", kInteger, "", 0, 1024, "", false},
    {"max_prepared_transactions", kInteger, "", 0, 10000, "", true},
    {"max_wal_size", kInteger, "MB", 32, 1048576, "", false},
    {"max_worker_processes", kInteger, "", 8, 1024, "", true},
    {"min_wal_size", kInteger, "MB", 32, 1048576, "", false},
    {"random_page_cost", kReal, "", 0, 1e6, "", false},
    {"seq_page_cost", kReal, "", 0, 1e6, "", false},
    {"statement_timeout", kInteger, "ms", 0, kMaxInt, "", false},
    {"synchronous_commit", kChoice, "", 0, 0, "on off local", false},
    {"tcp_keepalives_count", kInteger, "", 0, kMaxInt, "", false},
    {"tcp_keepalives_idle", kInteger, "s", 0, kMaxInt, "", false},
    {"tcp_keepalives_interval", kInteger, "s", 0, kMaxInt, "", false},
    {"timezone", kTimeZone, "", 0, 0, "", false},
    {"track_activity_query_size", kInteger, "", 100, 1048576, "", true},
    {"track_functions", kChoice, "", 0, 0, "none pl all", false},
    {"track_io_timing", kBoolean, "", 0, 0, "", false},
    {"work_mem", kInteger, "kB", 64, kMaxInt, "", false},
});

struct Unit {
  std::string_view name;
  bool memory;
  double factor;  ///< in bytes or in microseconds
};
constexpr auto kUnits = std::to_array<Unit>({{"B", true, 1},
                                             {"kB", true, 1024},
                                             {"MB", true, 1048576},
                                             {"GB", true, 1073741824},
                                             {"TB", true, 1099511627776},
                                             {"us", false, 1},
                                             {"ms", false, 1000},
                                             {"s", false, 1e6},
                                             {"min", false, 6e7},
                                             {"h", false, 3.6e9},
                                             {"d", false, 8.64e10}});

const Unit* find_unit(std::string_view name) {
  const auto at = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& unit) { return unit.name == name; });
  return at == kUnits.end() ? nullptr : &*at;
}

[[noreturn]] void refuse(const SettingRule& rule, std::string_view text) {
  throw Error(Code::kInvalidArgument, fmt::format("'{}' is not {}", text, describe(rule)));
}

/// A number with or without a unit, in the rule's unit.
std::optional<double> parse_number(const SettingRule& rule, std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::general);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  const auto unit_text = core::trim(text.substr(static_cast<std::size_t>(end - text.data())));
  // PostgreSQL gives -1 a meaning of its own, not a size.
  if (unit_text.empty() || number < 0) return unit_text.empty() ? std::optional(number) : std::nullopt;
  const auto* own = find_unit(rule.unit);
  const auto* given = find_unit(unit_text);
  if (own == nullptr || given == nullptr || own->memory != given->memory) return std::nullopt;
  return number * given->factor / own->factor;
}

std::string canonical_number(const SettingRule& rule, std::string_view text) {
  const auto number = parse_number(rule, text);
  if (!number || *number < rule.low || *number > rule.high) refuse(rule, text);
  if (rule.type == kReal) return fmt::format("{}", *number);
  if (std::floor(*number) != *number) refuse(rule, text);
  return fmt::format("{}{}", static_cast<std::int64_t>(*number), *number < 0 ? "" : rule.unit);
}

std::string canonical_boolean(const SettingRule& rule, std::string_view text) {
  const auto lower = core::to_lower(text);
  for (const auto* yes : {"on", "true", "yes", "1"}) {
    if (lower == yes) return "on";
  }
  for (const auto* no : {"off", "false", "no", "0"}) {
    if (lower == no) return "off";
  }
  refuse(rule, text);
}

std::string canonical_choice(const SettingRule& rule, std::string_view text) {
  auto lower = core::to_lower(text);
  if (rule.name == "default_transaction_isolation") std::replace(lower.begin(), lower.end(), ' ', '_');
  const auto choices = core::split(rule.choices, ' ');
  if (std::find(choices.begin(), choices.end(), lower) == choices.end()) refuse(rule, text);
  if (rule.name == "default_transaction_isolation") std::replace(lower.begin(), lower.end(), '_', ' ');
  return lower;
}

/// A zone the machine's own database has, because the server does not start with another.
std::string canonical_time_zone(const SettingRule& rule, std::string_view text) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
  const bool well_formed = !text.empty() && text.size() <= 64 && text.front() != '/' &&
                           text.find_first_not_of(kAllowed) == std::string_view::npos;
  std::error_code ignored;
  if (!well_formed || !std::filesystem::is_regular_file(std::filesystem::path("/usr/share/zoneinfo") / text, ignored)) {
    refuse(rule, text);
  }
  return std::string(text);
}

}  // namespace

std::span<const SettingRule> setting_rules() { return kRules; }

const SettingRule* find_setting_rule(std::string_view name) {
  const auto at =
      std::find_if(kRules.begin(), kRules.end(), [&](const SettingRule& rule) { return rule.name == name; });
  return at == kRules.end() ? nullptr : &*at;
}

std::string canonical_value(const SettingRule& rule, std::string_view text) {
  switch (rule.type) {
    case kInteger:
    case kReal: return canonical_number(rule, text);
    case kBoolean: return canonical_boolean(rule, text);
    case kChoice: return canonical_choice(rule, text);
    case kTimeZone: return canonical_time_zone(rule, text);
  }
  refuse(rule, text);
}

std::string describe(const SettingRule& rule) {
  switch (rule.type) {
    case kInteger:
    case kReal: {
      const auto* kind = rule.type == kReal ? "number" : "whole number";
      const auto unit = rule.unit.empty() ? "" : fmt::format(" in {} or with a unit", rule.unit);
      return fmt::format("a {} from {} to {}{}", kind, static_cast<std::int64_t>(rule.low),
                         static_cast<std::int64_t>(rule.high), unit);
    }
    case kBoolean: return "on or off";
    case kChoice: {
      std::string choices(rule.choices);
      std::replace(choices.begin(), choices.end(), ' ', '|');
      std::replace(choices.begin(), choices.end(), '_', ' ');
      return "one of " + choices;
    }
    case kTimeZone: return "the name of a time zone such as Europe/Berlin";
  }
  return {};
}

}  // namespace backstay::postgres
