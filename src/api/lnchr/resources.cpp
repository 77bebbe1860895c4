#include "api/lnchr/resources.h"

#include <array>

#include <fmt/format.h>

#include "core/text.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using model::ServiceState;

constexpr std::string_view kS3 = "s3://";

void put_time(json::object& object, std::string_view key, const std::optional<core::Timestamp>& time) {
  if (time) object[key] = core::format_time(*time);
}

void put_text(json::object& object, std::string_view key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

void put_number(json::object& object, std::string_view key, std::int64_t number) {
  if (number > 0) object[key] = number;
}

/// The part of "scheme://user@host/database?…" between two marks that follow the scheme.
std::string part_of_dsn(const std::string& dsn, char from, char to) {
  const auto scheme = dsn.find("://");
  if (scheme == std::string::npos) return "";
  const auto begin = from == 0 ? scheme + 3 : dsn.find(from, scheme + 3) + 1;
  if (begin == 0) return "";
  return core::url_decode(dsn.substr(begin, dsn.find(to, begin) - begin));
}

std::string config_text(const model::Service& service, std::string_view key) {
  const auto* value = service.config.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// The one that runs, which a config may not name.
std::string version_of(const model::Service& service) {
  auto version = config_text(service, "version");
  if (!version.empty()) return version;
  return service.provider.version.starts_with('v') ? std::string() : service.provider.version;
}

json::array times(const std::vector<core::Timestamp>& moments) {
  json::array array;
  for (const auto moment : moments) array.emplace_back(core::format_time(moment));
  return array;
}

}  // namespace

Place place_of(const std::string& url) {
  if (!url.starts_with(kS3)) return {url, ""};
  const auto path = url.substr(kS3.size());
  const auto slash = path.find('/');
  if (slash == std::string::npos) return {path, ""};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string url_of(const Place& place) {
  return fmt::format("{}{}{}{}", kS3, place.bucket, place.prefix.empty() ? "" : "/", place.prefix);
}

Connection connection_of(const model::Service& service) {
  const auto& details = service.status.details;
  const auto dsn = core::find_string(details, "dsn").value_or("");
  Connection connection{.host = core::find_string(details, "hostname").value_or(""),
                        .port = core::find_int(details, "port").value_or(0),
                        .user = part_of_dsn(dsn, 0, '@'),
                        .database = core::split(part_of_dsn(dsn, '/', '?'), '/').back()};
  if (connection.user.empty()) connection.user = config_text(service, "userName");
  if (connection.database.empty()) connection.database = config_text(service, "databaseName");
  return connection;
}

json::object destination_resource(const model::Destination& destination) {
  const auto place = place_of(destination.url);
  json::object object{{"id", destination.id},
                      {"name", destination.name},
                      {"provider", destination.provider.empty() ? "custom" : destination.provider},
                      {"bucket", place.bucket},
                      {"is_default", destination.is_default},
                      {"shared", destination.team_id == 0},
                      {"created_at", core::format_time(destination.created_at)},
                      {"updated_at", core::format_time(destination.probed_at.value_or(destination.created_at))}};
  put_text(object, "prefix", place.prefix);
  put_text(object, "region", destination.region);
  put_text(object, "endpoint", destination.endpoint_url);
  put_text(object, "account_id", destination.account_id);
  put_text(object, "jurisdiction", destination.jurisdiction);
  return object;
}

std::string_view database_status(const model::Service& service) {
  switch (service.status.state) {
    case ServiceState::kCreating:
      if (!service.status.last_error.empty()) return "failed";
      return service.recovered_from.empty() ? "creating" : "restoring";
    case ServiceState::kSynchronized: return "running";
    case ServiceState::kUpdating: return "updating";
    case ServiceState::kPausing: return "stopping";
    case ServiceState::kPaused: return "stopped";
    case ServiceState::kUnpausing: return "starting";
    case ServiceState::kDeleting: return "deleting";
    case ServiceState::kDeleted: return "deleted";
    case ServiceState::kUnknown:
    case ServiceState::kInvalidProvider: break;
  }
  return "error";
}

json::object database_resource(const model::Service& service) {
  json::object object{{"id", service.id},
                      {"name", service.name},
                      {"type", "postgres"},
                      {"status", database_status(service)},
                      {"backups_enabled", service.backups.enabled},
                      {"created_at", core::format_time(service.created_at)},
                      {"updated_at", core::format_time(service.updated_at)}};
  put_text(object, "version", version_of(service));
  put_text(object, "error", service.status.reason);
  put_text(object, "next_step", service.status.next_step);
  for (const auto& [field, label] :
       {std::pair("project_id", kProjectLabel), std::pair("environment_id", kEnvironmentLabel),
        std::pair("server_id", kServerLabel)}) {
    const auto found = service.labels.find(std::string(label));
    if (found != service.labels.end()) object[field] = found->second;
  }
  const auto connection = connection_of(service);
  put_text(object, "host", connection.host);
  put_number(object, "port", connection.port);
  put_text(object, "user", connection.user);
  put_text(object, "database", connection.database);
  if (service.backups.enabled) put_text(object, "backup_destination_id", service.backups.destination_id);
  put_text(object, "restored_from", service.candidate_of);
  return object;
}

std::string_view backup_status(model::BackupState state) {
  switch (state) {
    case model::BackupState::kScheduled: return "pending";
    case model::BackupState::kRunning: return "running";
    case model::BackupState::kCompleted: return "completed";
    case model::BackupState::kFailed: return "failed";
    case model::BackupState::kDeleting: return "deleting";
    case model::BackupState::kDeleted: return "deleted";
    case model::BackupState::kLost: break;
  }
  return "lost";
}

json::object backup_resource(const model::Backup& backup) {
  json::object object{{"id", backup.id},
                      {"database_id", backup.service_id},
                      {"type", model::to_text(backup.mechanism)},
                      {"trigger", model::to_text(backup.origin)},
                      {"status", backup_status(backup.state)},
                      {"created_at", core::format_time(backup.scheduled_at)}};
  put_text(object, "destination_id", backup.destination_id);
  put_text(object, "schedule_id", backup.schedule_id);
  if (backup.stored_at || backup.data_bytes > 0) {
    object["size_bytes"] = backup.data_bytes;
    object["stored_bytes"] = backup.stored_bytes;
  }
  put_time(object, "started_at", backup.initiated_at);
  put_time(object, "stored_at", backup.stored_at);
  put_time(object, "completed_at", backup.confirmed_at);
  put_time(object, "verified_at", backup.verified_at);
  put_time(object, "expires_at", backup.expires_at);
  put_text(object, "error", backup.error);
  put_text(object, "next_step", backup.next_step);
  return object;
}

json::object window_resource(const std::string& database_id, const model::RecoveryWindow& window) {
  json::array gaps;
  for (const auto& gap : window.gaps) {
    gaps.push_back({{"from", core::format_time(gap.from)}, {"to", core::format_time(gap.to)}, {"reason", gap.reason}});
  }
  json::object object{
      {"database_id", database_id}, {"available", window.earliest && window.latest}, {"gaps", std::move(gaps)}};
  put_time(object, "earliest", window.earliest);
  put_time(object, "latest", window.latest);
  put_text(object, "problem", window.problem);
  return object;
}

json::object schedule_resource(const control::ScheduleView& view) {
  const auto& schedule = view.schedule;
  json::object object{{"id", schedule.id},
                      {"name", schedule.name},
                      {"database_id", schedule.service_id},
                      {"timezone", schedule.time_zone},
                      {"type", model::to_text(schedule.mechanism)},
                      {"enabled", schedule.enabled},
                      {"next_runs", times(view.next_runs)},
                      {"created_at", core::format_time(schedule.created_at)},
                      {"updated_at", core::format_time(schedule.updated_at)}};
  put_text(object, "destination_id", schedule.destination_id);
  put_text(object, "cron_expression", schedule.cron);
  put_number(object, "interval_hours", schedule.cron.empty() ? schedule.interval_h : 0);
  put_number(object, "retention_count", schedule.keep.count);
  put_number(object, "retention_days", schedule.keep.days);
  put_time(object, "next_run_at", schedule.next_at);
  put_time(object, "last_run_at", schedule.last_run_at);
  put_text(object, "last_backup_id", schedule.last_backup_id);
  put_text(object, "last_status", std::string(model::to_text(schedule.last_outcome)));
  put_text(object, "waits_for", view.waits_for);
  return object;
}

}  // namespace backstay::api::lnchr
