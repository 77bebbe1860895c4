#include "api/house/resources.h"

#include <fmt/format.h>

namespace backstay::api::house {
namespace {

namespace json = core::json;
using model::ServiceState;

void put_time(json::object& object, std::string_view key, const std::optional<core::Timestamp>& time) {
  if (time) object[key] = core::format_time(*time);
}

void put_text(json::object& object, std::string_view key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

template <typename Strings>
json::array string_array(const Strings& strings) {
  json::array array;
  for (const auto& text : strings) array.emplace_back(text);
  return array;
}

std::string lsn_text(std::uint64_t lsn) { return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xFFFFFFFF); }

double in_seconds(core::Duration time) { return std::chrono::duration<double>(time).count(); }

void put_times(json::object& object, const model::Verification& seen) {
  if (seen.first_query_time) object["timeToFirstQuerySeconds"] = in_seconds(*seen.first_query_time);
  if (seen.recovery_time) object["recoveryTimeSeconds"] = in_seconds(*seen.recovery_time);
}

json::object verification_resource(const model::Verification& seen) {
  json::object object{{"outcome", model::to_text(seen.outcome)}, {"at", core::format_time(seen.at)}};
  put_time(object, "notRunAt", seen.not_run_at);
  put_times(object, seen);
  put_text(object, "problem", seen.problem);
  put_text(object, "nextStep", seen.next_step);
  if (!seen.checks.empty()) object["checks"] = seen.checks;
  return object;
}

json::object backups_union(const control::ServiceView& view) {
  json::array entries;
  for (const model::Backup& backup : view.backups) entries.push_back(backup_entry(backup));
  const model::BackupSettings& settings = view.service.backups;
  json::object object{{"enabled", settings.enabled}, {"entries", std::move(entries)}};
  if (settings.enabled) {
    object["intervalH"] = settings.interval_h;
    object["deleteRetentionDays"] = settings.retention_days;
    object["config"] = settings.config;
  }
  return object;
}

json::object status_union(const model::Service& service, const std::string& base_url) {
  const ServiceState state = service.status.state;
  json::object object{{"state", model::to_text(state)}};
  if (state == ServiceState::kSynchronized) {
    object["detailsRef"] = fmt::format("{}/managed-services/{}/details", base_url, service.id);
  }
  if (state == ServiceState::kDeleting || state == ServiceState::kDeleted) {
    put_time(object, "deletedAt", service.delete_requested_at ? service.delete_requested_at : service.deleted_at);
  }
  put_text(object, "reason", service.status.reason);
  put_text(object, "nextStep", service.status.next_step);
  return object;
}

json::object risk_resource(const control::AtRisk& risk) {
  json::object object{{"bytes", risk.bytes},
                      {"seconds", std::chrono::duration<double>(risk.time).count()},
                      {"storeReachable", risk.store_reachable}};
  put_text(object, "lastError", risk.last_error);
  return object;
}

json::object chain_resource(const model::ChainReport& report) {
  json::array problems;
  for (const auto& problem : report.problems) {
    problems.push_back({{"fault", model::to_text(problem.fault)},
                        {"reason", problem.reason},
                        {"since", core::format_time(problem.since)},
                        {"needsBackup", problem.needs_backup}});
  }
  const bool is_intact = problems.empty() && report.checked_at;
  json::object object{{"intact", is_intact}, {"problems", std::move(problems)}};
  put_time(object, "checkedAt", report.checked_at);
  if (report.store_clock_offset) {
    object["storeClockOffsetSeconds"] = std::chrono::duration<double>(*report.store_clock_offset).count();
  }
  return object;
}

}  // namespace

json::object service_resource(const control::ServiceView& view, const std::string& base_url) {
  const model::Service& service = view.service;
  json::object parameters;
  for (const auto& [name, value] : service.plan.parameters) parameters[name] = value;
  json::array events;
  for (const model::Event& event : view.recent_events) events.push_back(model::log_record(event));
  json::object object{{"id", service.id},
                      {"name", service.name},
                      {"provider",
                       {{"name", service.provider.name},
                        {"version", service.provider.version},
                        {"schemaVersion", service.provider.version}}},
                      {"plan", {{"id", service.plan.id}, {"parameters", std::move(parameters)}}},
                      {"config", service.config},
                      {"backups", backups_union(view)},
                      {"pause", service.pause},
                      {"deletionProtection", service.deletion_protection},
                      {"labels", model::to_json(service.labels)},
                      {"createdAt", core::format_time(service.created_at)},
                      {"status", status_union(service, base_url)},
                      {"recentEvents", std::move(events)}};
  put_text(object, "version", service.app_version);
  put_text(object, "candidateOf", service.candidate_of);
  return object;
}

json::object backup_entry(const model::Backup& backup) {
  json::object object{{"id", backup.id}, {"scheduledAt", core::format_time(backup.scheduled_at)}};
  put_time(object, "initiatedAt", backup.initiated_at);
  put_time(object, "confirmedAt", backup.confirmed_at);
  return object;
}

json::object preview_resource(const control::Preview& preview) {
  return {{"dryRun", true}, {"effects", string_array(preview.effects)}, {"restarts", preview.restarts}};
}

json::object team_resource(const model::Team& team) {
  json::object kit{{"exists", !team.recovery_key.empty()}};
  put_time(kit, "fetchedAt", team.kit_fetched_at);
  return {{"id", team.id},
          {"name", team.name},
          {"slug", team.slug},
          {"defaultDataCenterId", 1},
          {"createdAt", core::format_time(team.created_at)},
          {"recoveryKit", std::move(kit)}};
}

json::object backup_resource(const model::Backup& backup) {
  json::object object = backup_entry(backup);
  object["number"] = backup.number;
  object["serviceId"] = backup.service_id;
  object["teamId"] = backup.team_id;
  put_text(object, "instanceId", backup.instance_id);
  put_text(object, "destinationId", backup.destination_id);
  object["standsAlone"] = backup.stands_alone;
  object["mechanism"] = model::to_text(backup.mechanism);
  object["origin"] = model::to_text(backup.origin);
  object["state"] = model::to_text(backup.state);
  put_time(object, "takenAt", backup.taken_at);
  put_time(object, "storedAt", backup.stored_at);
  put_time(object, "verifiedAt", backup.verified_at);
  if (backup.verification) object["verification"] = verification_resource(*backup.verification);
  object["dataBytes"] = backup.data_bytes;
  object["storedBytes"] = backup.stored_bytes;
  if (backup.taken_at && backup.mechanism == model::BackupMechanism::kPhysical) {
    object["incremental"] = !backup.base_id.empty();
    object["readBytes"] = backup.read_bytes;
    put_text(object, "baseId", backup.base_id);
    put_text(object, "fullReason", backup.full_reason);
    object["timeline"] = backup.timeline;
    object["startLsn"] = lsn_text(backup.start_lsn);
    object["stopLsn"] = lsn_text(backup.stop_lsn);
  }
  if (backup.initiated_at && backup.stored_at) {
    object["durationSeconds"] = std::chrono::duration<double>(*backup.stored_at - *backup.initiated_at).count();
  }
  object["pinned"] = backup.pinned;
  put_time(object, "expiresAt", backup.expires_at);
  put_text(object, "label", backup.label);
  object["labels"] = model::to_json(backup.labels);
  put_text(object, "scheduleId", backup.schedule_id);
  put_text(object, "removalReason", backup.removal_reason);
  put_text(object, "error", backup.error);
  put_text(object, "nextStep", backup.next_step);
  return object;
}

json::object operation_resource(const model::Operation& operation) {
  json::object object{{"id", operation.id},
                      {"kind", operation.kind},
                      {"teamId", operation.team_id},
                      {"state", model::to_text(operation.state)},
                      {"step", operation.step},
                      {"stepNumber", operation.step_number},
                      {"steps", operation.steps},
                      {"attempts", operation.attempts},
                      {"cancelRequested", operation.cancel_requested},
                      {"createdAt", core::format_time(operation.created_at)}};
  put_text(object, "serviceId", operation.service_id);
  if (!operation.progress.empty()) object["progress"] = operation.progress;
  if (!operation.result.empty()) object["result"] = operation.result;
  if (!operation.error.empty()) object["error"] = operation.error;
  put_time(object, "startedAt", operation.started_at);
  put_time(object, "finishedAt", operation.finished_at);
  return object;
}

json::object event_resource(const model::Event& event) { return model::to_json(event); }

json::object span_of(const model::RecoveryWindow& window) {
  json::array gaps;
  for (const model::RecoveryGap& gap : window.gaps) {
    gaps.push_back({{"from", core::format_time(gap.from)}, {"to", core::format_time(gap.to)}, {"reason", gap.reason}});
  }
  json::object object{{"gaps", std::move(gaps)}};
  put_text(object, "instanceId", window.instance_id);
  put_text(object, "destinationId", window.destination_id);
  put_time(object, "earliest", window.earliest);
  put_time(object, "latest", window.latest);
  put_text(object, "problem", window.problem);
  return object;
}

json::object verified_resource(const model::Backup& backup) {
  json::object object{{"backupId", backup.id}};
  put_time(object, "at", backup.verified_at);
  if (backup.verification) put_times(object, *backup.verification);
  return object;
}

json::object window_resource(const std::string& service_id, const std::vector<model::RecoveryWindow>& windows,
                             const std::optional<control::AtRisk>& at_risk,
                             const std::optional<model::ChainReport>& chain) {
  json::object object = span_of(model::union_of(windows));
  object["serviceId"] = service_id;
  json::array each;
  for (const auto& window : windows) each.emplace_back(span_of(window));
  object["windows"] = std::move(each);
  if (at_risk) object["atRisk"] = risk_resource(*at_risk);
  if (chain) object["chain"] = chain_resource(*chain);
  return object;
}

json::object token_resource(const model::Token& token) {
  const auto allowed = model::permissions(token);
  json::array team_ids(token.team_ids.begin(), token.team_ids.end());
  json::object object{{"id", token.id},
                      {"name", token.name},
                      {"scopes", string_array(token.scopes)},
                      {"permissions", json::array(allowed.begin(), allowed.end())},
                      {"allTeams", token.all_teams},
                      {"teamIds", std::move(team_ids)},
                      {"createdAt", core::format_time(token.created_at)}};
  put_time(object, "expiresAt", token.expires_at);
  put_text(object, "role", std::string(model::role_of(token)));
  put_text(object, "accountId", token.account_id);
  put_time(object, "lastUsedAt", token.last_used_at);
  put_time(object, "revokedAt", token.revoked_at);
  return object;
}

json::object destination_resource(const model::Destination& destination) {
  json::object object{{"id", destination.id},
                      {"teamId", destination.team_id},
                      {"name", destination.name},
                      {"url", destination.url},
                      {"isDefault", destination.is_default},
                      {"probe", destination.probe},
                      {"createdAt", core::format_time(destination.created_at)}};
  put_text(object, "provider", destination.provider);
  put_text(object, "accountId", destination.account_id);
  put_text(object, "jurisdiction", destination.jurisdiction);
  put_text(object, "endpointUrl", destination.endpoint_url);
  put_text(object, "region", destination.region);
  object["pathStyle"] = destination.path_style;
  put_time(object, "probedAt", destination.probed_at);
  put_time(object, "lostAt", destination.lost_at);
  return object;
}

json::array checks_resource(const std::vector<control::ProbeCheck>& checks) {
  json::array array;
  for (const control::ProbeCheck& check : checks) {
    array.push_back(
        {{"name", check.name}, {"essential", check.essential}, {"passed", check.passed}, {"message", check.message}});
  }
  return array;
}

}  // namespace backstay::api::house
