#include "control/refusal_events.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "metadata/backups.h"
#include "metadata/operations.h"
#include "metadata/schedules.h"
#include "metadata/services.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

std::string service_of(metadata::Transaction& tx, const RefusedRequest& refused) {
  if (!refused.service_id.empty()) return refused.service_id;
  if (!refused.backup_id.empty()) {
    const auto backup = metadata::Backups(tx).find(refused.backup_id);
    return backup ? backup->service_id : "";
  }
  if (refused.backup_number > 0) {
    const auto backup = metadata::Backups(tx).find_number(refused.backup_number);
    return backup ? backup->service_id : "";
  }
  if (!refused.schedule_id.empty()) {
    const auto schedule = metadata::Schedules(tx).find(refused.schedule_id);
    return schedule ? schedule->service_id : "";
  }
  const auto operation = metadata::Operations(tx).find(refused.operation_id);
  return operation ? operation->service_id : "";
}

std::optional<model::Service> find_service(metadata::Transaction& tx, const RefusedRequest& refused,
                                           const Principal& principal) {
  auto service = metadata::Services(tx).find(service_of(tx, refused));
  if (service && !principal.sees_team(service->team_id)) return std::nullopt;
  return service;
}

/// The team that is named, or the only one that the principal sees; nothing for one that it does not see.
std::optional<std::int64_t> find_team(metadata::Transaction& tx, const RefusedRequest& refused,
                                      const Principal& principal) {
  std::optional<model::Team> team;
  if (refused.team_id) {
    team = metadata::Teams(tx).find(*refused.team_id);
  } else if (!refused.team_slug.empty()) {
    team = metadata::Teams(tx).find_by_slug(refused.team_slug);
  } else if (!principal.all_teams && principal.team_ids.size() == 1) {
    team = metadata::Teams(tx).find(*principal.team_ids.begin());
  }
  return team && principal.sees_team(team->id) ? std::optional(team->id) : std::nullopt;
}

bool is_of_service(const RefusedRequest& refused) {
  return refused.backup_number > 0 ||
         !(refused.service_id + refused.backup_id + refused.schedule_id + refused.operation_id).empty();
}

std::string body_of(const RefusedRequest& refused) {
  return fmt::format("a request was refused and changed nothing: {} ({}); {}", refused.summary, refused.code,
                     refused.reason);
}

std::map<std::string, std::string> attributes_of(const RefusedRequest& refused) {
  return {{"code", refused.code}, {"operation", refused.call}, {"trace.id", refused.trace_id}};
}

}  // namespace

bool RefusalEvents::is_due(const std::string& subject, const RefusedRequest& refused) {
  const auto now = clock_.now();
  const core::LockGuard lock(mutex_);
  std::erase_if(told_, [&](const auto& entry) { return entry.second + kPause <= now; });
  return told_.emplace(fmt::format("{} {} {} {}", subject, refused.kind.name, refused.call, refused.code), now).second;
}

void RefusalEvents::record(const RefusedRequest& refused, const Principal& principal) {
  if (!principal.may_read && principal.parts.empty()) return;
  try {
    write(refused, principal);
  } catch (...) {
    core::log_warning("refusal.untold", core::as_error(std::current_exception()).message(),
                      {{"trace_id", refused.trace_id}});
  }
}

void RefusalEvents::write(const RefusedRequest& refused, const Principal& principal) {
  if (!is_of_service(refused)) {
    const auto team = database_.read([&](auto& tx) { return find_team(tx, refused, principal); });
    if (team) write_of_team(refused, *team);
    return;
  }
  const auto service = database_.read([&](auto& tx) { return find_service(tx, refused, principal); });
  if (!service || !is_due(service->id, refused)) return;
  database_.write(
      [&](auto& tx) { events_.record(tx, *service, refused.kind, body_of(refused), attributes_of(refused)); });
}

void RefusalEvents::write_of_team(const RefusedRequest& refused, std::int64_t team_id) {
  if (!is_due(fmt::format("team {}", team_id), refused)) return;
  database_.write(
      [&](auto& tx) { events_.record(tx, team_id, refused.kind, body_of(refused), attributes_of(refused)); });
}

}  // namespace backstay::control
