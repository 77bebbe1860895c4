#include "repository/records.h"

#include <tuple>

#include "repository/json_fields.h"

namespace backstay::repository {
namespace {

using core::json::object;
using detail::number_text;
using detail::put_time;
using detail::read_number;
using detail::read_time;
using detail::read_u32;

object details_of(const object& from) {
  const object* const details = core::find_object(from, "details");
  return details != nullptr ? *details : object();
}

InstanceRecord read_instance(const object& from) {
  InstanceRecord record;
  record.instance = core::require_string(from, "instance");
  record.service = core::require_string(from, "service");
  record.service_name = core::require_string(from, "serviceName");
  record.provider = core::require_string(from, "provider");
  record.postgres_major = read_u32(from, "postgresMajor");
  record.system_identifier = read_number(from, "systemIdentifier");
  record.wal_segment_size = read_number(from, "walSegmentSize");
  record.created = read_time(from, "created");
  if (const object* const branch = core::find_object(from, "branchedFrom")) {
    record.branched_from = Branch{.instance = core::require_string(*branch, "instance"),
                                  .timeline = read_u32(*branch, "timeline"),
                                  .lsn = read_number(*branch, "lsn")};
  }
  record.details = details_of(from);
  return record;
}

void read_facts(const object& from, BackupRecord& record) {
  record.taken = detail::find_time(from, "taken");
  record.stored = detail::find_time(from, "stored");
  record.confirmed = detail::find_time(from, "confirmed");
  record.verified = detail::find_time(from, "verified");
  record.problem = core::find_string(from, "problem").value_or("");
  record.restore_problem = core::find_string(from, "restoreProblem").value_or("");
  if (const auto time = core::find_int(from, "recoveryMicroseconds")) record.recovery_time = core::Duration(*time);
  if (const auto time = core::find_int(from, "firstQueryMicroseconds")) record.first_query_time = core::Duration(*time);
}

BackupRecord read_backup(const object& from) {
  BackupRecord record;
  record.backup = core::require_string(from, "backup");
  record.instance = core::require_string(from, "instance");
  record.mechanism = core::require_string(from, "mechanism");
  record.origin = core::require_string(from, "origin");
  record.label = core::find_string(from, "label").value_or("");
  read_facts(from, record);
  record.postgres_version = core::require_string(from, "postgresVersion");
  record.system_identifier = read_number(from, "systemIdentifier");
  record.wal_segment_size = read_number(from, "walSegmentSize");
  record.timeline = read_u32(from, "timeline");
  record.start_lsn = read_number(from, "startLsn");
  record.stop_lsn = read_number(from, "stopLsn");
  record.start_time = read_time(from, "startTime");
  record.stop_time = read_time(from, "stopTime");
  record.file_count = read_number(from, "fileCount");
  record.data_size = read_number(from, "dataSize");
  record.stored_size = read_number(from, "storedSize");
  record.pages_checked = read_number(from, "pagesChecked");
  record.pages_failed = read_number(from, "pagesFailed");
  record.attempt = parse_object_id(core::require_string(from, "attempt"));
  record.manifest_id = parse_object_id(core::require_string(from, "manifestId"));
  record.details = details_of(from);
  return record;
}

}  // namespace

bool gives_way(const BackupRecord& a, const BackupRecord& b) {
  const auto begin = [](const BackupRecord& r) { return std::tie(r.timeline, r.start_lsn, r.start_time, r.attempt); };
  return begin(a) < begin(b);
}

bool is_sound(const BackupRecord& record) {
  return record.confirmed && record.problem.empty() && record.restore_problem.empty();
}

object to_json(const InstanceRecord& record) {
  object out{{"instance", record.instance},
             {"service", record.service},
             {"serviceName", record.service_name},
             {"provider", record.provider},
             {"postgresMajor", record.postgres_major},
             {"systemIdentifier", number_text(record.system_identifier)},
             {"walSegmentSize", number_text(record.wal_segment_size)},
             {"created", core::format_time(record.created)},
             {"details", record.details}};
  if (const auto& branch = record.branched_from) {
    out["branchedFrom"] =
        object{{"instance", branch->instance}, {"timeline", branch->timeline}, {"lsn", number_text(branch->lsn)}};
  }
  return out;
}

object to_json(const BackupRecord& record) {
  object out{{"backup", record.backup},
             {"instance", record.instance},
             {"mechanism", record.mechanism},
             {"origin", record.origin},
             {"label", record.label},
             {"postgresVersion", record.postgres_version},
             {"systemIdentifier", number_text(record.system_identifier)},
             {"walSegmentSize", number_text(record.wal_segment_size)},
             {"timeline", record.timeline},
             {"startLsn", number_text(record.start_lsn)},
             {"stopLsn", number_text(record.stop_lsn)},
             {"startTime", core::format_time(record.start_time)},
             {"stopTime", core::format_time(record.stop_time)},
             {"fileCount", number_text(record.file_count)},
             {"dataSize", number_text(record.data_size)},
             {"storedSize", number_text(record.stored_size)},
             {"pagesChecked", number_text(record.pages_checked)},
             {"pagesFailed", number_text(record.pages_failed)},
             {"attempt", format_object_id(record.attempt)},
             {"manifestId", format_object_id(record.manifest_id)},
             {"details", record.details}};
  put_time(out, "taken", record.taken);
  put_time(out, "stored", record.stored);
  put_time(out, "confirmed", record.confirmed);
  put_time(out, "verified", record.verified);
  if (!record.problem.empty()) out["problem"] = record.problem;
  if (!record.restore_problem.empty()) out["restoreProblem"] = record.restore_problem;
  if (record.recovery_time) out["recoveryMicroseconds"] = record.recovery_time->count();
  if (record.first_query_time) out["firstQueryMicroseconds"] = record.first_query_time->count();
  return out;
}

InstanceRecord instance_record_from_json(const core::json::value& value) {
  return detail::reading("an instance record", [&] { return read_instance(core::as_object(value)); });
}

BackupRecord backup_record_from_json(const core::json::value& value) {
  return detail::reading("a backup record", [&] { return read_backup(core::as_object(value)); });
}

}  // namespace backstay::repository
