#include "api/lnchr/schemas.h"

#include "api/endpoint.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;

/// A field of a request.
json::object optional(json::object schema) {
  schema["type"] = json::array{schema.at("type"), "null"};
  return schema;
}

json::object described_as(json::object schema, std::string_view description) {
  schema["description"] = description;
  return schema;
}

json::object bounded_text(std::size_t least, std::size_t most, std::string_view description) {
  return {{"type", "string"}, {"minLength", least}, {"maxLength", most}, {"description", description}};
}

json::object integer(std::int64_t least) { return {{"type", "integer"}, {"minimum", least}}; }
json::object flag() { return {{"type", "boolean"}}; }

json::object one_of(const json::array& words) { return {{"type", "string"}, {"enum", words}}; }

/// Texts of a destination; in a change an empty key means the one that is known.
json::object destination_fields(std::size_t least) {
  return {
      {"provider", one_of({"s3", "r2", "backblaze", "minio", "custom"})},
      {"name", bounded_text(1, 100, "for people")},
      {"access_key", optional(bounded_text(least, 256, "of the store"))},
      {"secret_key", optional(bounded_text(least, 256, "of the store; no answer has it"))},
      {"bucket",
       {{"type", "string"}, {"pattern", "^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$"}, {"description", "is there already"}}},
      {"prefix", optional(bounded_text(0, 500, "below which everything goes, inside the bucket"))},
      {"region", optional(bounded_text(0, 64, "found out where it is not given"))},
      {"endpoint", optional(bounded_text(0, 2048, "https://host; of r2 and backblaze it is known"))},
      {"account_id", optional(bounded_text(0, 63, "of r2: its endpoint is made from it"))},
      {"jurisdiction", optional(bounded_text(0, 63, "of r2: eu, fedramp or default"))},
      {"is_default", optional(described_as(flag(), "where a new database's backups go"))}};
}

json::object label() { return optional(bounded_text(1, 1024, "kept and given back")); }

json::object backup_type() { return one_of({"physical", "logical"}); }

json::object zone_and_rule() {
  return {{"timezone", optional(bounded_text(1, 64, "of the expression, such as Europe/Berlin; UTC"))},
          {"retention_count", optional(described_as(integer(1), "so many of its newest completed backups stay"))},
          {"name", optional(bounded_text(1, 100, "for people"))},
          {"type", optional(backup_type())},
          {"enabled", optional(flag())},
          {"destination_id", optional(uuid_schema())},
          {"database_id", optional(uuid_schema())},
          {"application_id", optional(uuid_schema())}};
}

json::object cron() { return bounded_text(1, 200, "five fields: minute, hour, day of month, month, day of week"); }

json::object gap_schema() {
  return object_schema({{"from", time_schema()}, {"to", time_schema()}, {"reason", text_schema()}},
                       {"from", "to", "reason"});
}

}  // namespace

json::object text_schema() { return {{"type", "string"}}; }
json::object uuid_schema() { return {{"type", "string"}, {"format", "uuid"}}; }
json::object time_schema() { return {{"type", "string"}, {"format", "date-time"}}; }

json::object object_schema(const json::object& properties, const std::vector<std::string_view>& required) {
  json::array names;
  for (const auto name : required) names.emplace_back(name);
  json::object schema{{"type", "object"}, {"properties", properties}};
  if (!names.empty()) schema["required"] = std::move(names);
  return schema;
}

json::object create_destination_schema() {
  return object_schema(destination_fields(1), {"name", "provider", "bucket"});
}
json::object change_destination_schema() { return object_schema(destination_fields(0), {}); }

json::object create_database_schema() {
  return object_schema({{"name", bounded_text(1, 127, "unique in the tenant")},
                        {"type", bounded_text(1, 64, "postgres")},
                        {"version", optional(bounded_text(1, 32, "a major version; the newest that is installed"))},
                        {"project_id", label()},
                        {"environment_id", label()},
                        {"server_id", label()},
                        {"user", optional(bounded_text(1, 63, "the application's role"))},
                        {"password", optional(bounded_text(1, 256, "of that role; made where it is not given"))},
                        {"database", optional(bounded_text(1, 63, "the database that this role owns"))},
                        {"backup_destination_id", optional(uuid_schema())}},
                       {"name", "type"});
}

json::object change_database_schema() {
  return object_schema({{"name", optional(bounded_text(1, 127, "unique in the tenant"))},
                        {"version", optional(bounded_text(1, 32, "a minor version of the same major"))},
                        {"project_id", label()},
                        {"environment_id", label()},
                        {"server_id", label()},
                        {"password", optional(bounded_text(1, 256, "a new one of the application's role"))},
                        {"backups_enabled", optional(flag())},
                        {"backup_destination_id", optional(uuid_schema())}},
                       {});
}

json::object take_backup_schema() {
  return object_schema({{"destination_id", optional(uuid_schema())}, {"type", optional(backup_type())}}, {});
}
json::object restore_schema() { return object_schema({{"backup_id", uuid_schema()}}, {"backup_id"}); }
json::object restore_into_schema() {
  return object_schema({{"new_name", optional(bounded_text(1, 127, "of the restored database"))}}, {});
}
json::object pitr_schema() { return object_schema({{"target_time", time_schema()}}, {"target_time"}); }
json::object pitr_clone_schema() {
  return object_schema({{"target_time", time_schema()}, {"new_name", bounded_text(1, 127, "of the new database")}},
                       {"target_time", "new_name"});
}
json::object switch_schema() {
  return object_schema({{"restored_database_id", optional(uuid_schema())},
                        {"rollback", optional(described_as(flag(), "back to the data before the last switch"))}},
                       {});
}

json::object create_schedule_schema() {
  auto fields = zone_and_rule();
  fields["cron_expression"] = cron();
  return object_schema(fields, {"cron_expression"});
}
json::object change_schedule_schema() {
  auto fields = zone_and_rule();
  fields["cron_expression"] = optional(cron());
  return object_schema(fields, {});
}

json::object destination_schema() {
  const auto text = text_schema();
  return object_schema({{"id", uuid_schema()},
                        {"name", text},
                        {"provider", text},
                        {"bucket", text},
                        {"prefix", text},
                        {"region", text},
                        {"endpoint", text},
                        {"account_id", text},
                        {"jurisdiction", text},
                        {"is_default", flag()},
                        {"shared", described_as(flag(), "the operator's: every tenant may use it")},
                        {"created_at", time_schema()},
                        {"updated_at", time_schema()}},
                       {"id", "name", "provider", "bucket", "created_at"});
}

json::object database_schema() {
  const auto text = text_schema();
  return object_schema(
      {{"id", uuid_schema()},
       {"name", text},
       {"type", text},
       {"version", text},
       {"status", one_of({"creating", "restoring", "running", "updating", "stopping", "stopped", "starting", "deleting",
                          "deleted", "failed", "error"})},
       {"error", text},
       {"next_step", text},
       {"project_id", text},
       {"environment_id", text},
       {"server_id", text},
       {"host", text},
       {"port", integer(1)},
       {"user", text},
       {"database", text},
       {"password", described_as(text, "in the answer of its creation only")},
       {"backups_enabled", flag()},
       {"backup_destination_id", uuid_schema()},
       {"restored_from", described_as(uuid_schema(), "the database whose place it can take: see switch")},
       {"created_at", time_schema()},
       {"updated_at", time_schema()}},
      {"id", "name", "type", "status", "backups_enabled", "created_at", "updated_at"});
}

json::object backup_schema() {
  const auto text = text_schema();
  return object_schema(
      {{"id", uuid_schema()},
       {"database_id", uuid_schema()},
       {"destination_id", uuid_schema()},
       {"schedule_id", uuid_schema()},
       {"type", backup_type()},
       {"trigger", one_of({"scheduled", "manual", "final", "safety"})},
       {"status", one_of({"pending", "running", "completed", "failed", "deleting", "deleted", "lost"})},
       {"size_bytes", integer(0)},
       {"stored_bytes", integer(0)},
       {"created_at", time_schema()},
       {"started_at", time_schema()},
       {"stored_at", described_as(time_schema(), "all of it was in the store")},
       {"completed_at", described_as(time_schema(), "read back from the store and checked")},
       {"verified_at", described_as(time_schema(), "a restore of it was seen to work")},
       {"expires_at", time_schema()},
       {"error", text},
       {"next_step", text}},
      {"id", "database_id", "type", "trigger", "status", "created_at"});
}

json::object window_schema() {
  return object_schema({{"database_id", uuid_schema()},
                        {"available", flag()},
                        {"earliest", time_schema()},
                        {"latest", time_schema()},
                        {"gaps", array_of(gap_schema())},
                        {"problem", text_schema()}},
                       {"database_id", "available", "gaps"});
}

json::object schedule_schema() {
  const auto text = text_schema();
  return object_schema(
      {{"id", uuid_schema()},
       {"name", text},
       {"database_id", uuid_schema()},
       {"destination_id", uuid_schema()},
       {"cron_expression", text},
       {"interval_hours", described_as(integer(1), "instead of a cron expression")},
       {"timezone", text},
       {"retention_count", integer(1)},
       {"retention_days", integer(1)},
       {"type", backup_type()},
       {"enabled", flag()},
       {"next_run_at", time_schema()},
       {"next_runs", array_of(time_schema())},
       {"last_run_at", time_schema()},
       {"last_backup_id", uuid_schema()},
       {"last_status", one_of({"running", "completed", "failed"})},
       {"waits_for", text},
       {"created_at", time_schema()},
       {"updated_at", time_schema()}},
      {"id", "name", "database_id", "timezone", "type", "enabled", "next_runs", "created_at", "updated_at"});
}

}  // namespace backstay::api::lnchr
