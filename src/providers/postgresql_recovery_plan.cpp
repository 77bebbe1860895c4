#include "providers/postgresql_recovery_plan.h"

#include "core/error.h"
#include "core/text.h"

namespace backstay::providers {

core::json::object plan_to_json(const backup::RecoveryPlan& plan) {
  core::json::object facts{{"instance", plan.instance},
                           {"backup", plan.base.backup},
                           {"immediate", plan.stop.immediate},
                           {"stopLsn", postgres::format_lsn(plan.stop.lsn)},
                           {"inclusive", plan.stop.inclusive},
                           {"timeline", plan.timeline.value},
                           {"walFrom", postgres::format_lsn(plan.wal_from)},
                           {"walTo", postgres::format_lsn(plan.wal_to)},
                           {"fileBytes", plan.file_bytes},
                           {"walBytes", plan.wal_bytes}};
  if (plan.time) facts["time"] = core::format_time(*plan.time);
  if (plan.last_commit) facts["lastCommit"] = core::format_time(*plan.last_commit);
  return facts;
}

backup::RecoveryPlan plan_from_json(const core::json::object& facts, const repository::Repository& repository) {
  backup::RecoveryPlan plan;
  plan.instance = core::require_string(facts, "instance");
  const auto backup_id = core::require_string(facts, "backup");
  const auto record = repository.backup(plan.instance, backup_id);
  if (!record) {
    throw core::Error(
        core::Code::kNotFound,
        fmt::format("the backup '{}' that the recovery begins with is not in the store any more", backup_id));
  }
  plan.base = *record;
  plan.stop.immediate = core::find_bool(facts, "immediate").value_or(false);
  plan.stop.lsn = postgres::parse_lsn(core::require_string(facts, "stopLsn"));
  plan.stop.inclusive = core::find_bool(facts, "inclusive").value_or(false);
  plan.timeline.value = static_cast<std::uint32_t>(core::require_int(facts, "timeline"));
  plan.wal_from = postgres::parse_lsn(core::require_string(facts, "walFrom"));
  plan.wal_to = postgres::parse_lsn(core::require_string(facts, "walTo"));
  plan.file_bytes = static_cast<std::uint64_t>(core::require_int(facts, "fileBytes"));
  plan.wal_bytes = static_cast<std::uint64_t>(core::require_int(facts, "walBytes"));
  if (const auto time = core::find_string(facts, "time")) plan.time = core::parse_time(*time);
  if (const auto time = core::find_string(facts, "lastCommit")) plan.last_commit = core::parse_time(*time);
  return plan;
}

std::string describe(const backup::RecoveryPlan& plan) {
  std::string text = fmt::format("backup {} ({})", plan.base.backup, core::format_bytes(plan.file_bytes));
  if (plan.stop.immediate) {
    text += " as it was taken";
  } else {
    text +=
        fmt::format(" and {} of WAL up to {}", core::format_bytes(plan.wal_bytes), postgres::format_lsn(plan.stop.lsn));
    if (plan.time) text += fmt::format(", the state of {}", core::format_time(*plan.time));
  }
  for (const std::string& warning : plan.warnings) text += "; warning: " + warning;
  return text;
}

}  // namespace backstay::providers
