#include "control/queries.h"

#include "control/events.h"
#include "control/instance_records.h"
#include "control/operation_queue.h"
#include "control/recovery_places.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/events.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

constexpr std::size_t kRecentEvents = 20;

/// Nothing: every team.
std::optional<std::vector<std::int64_t>> visible_teams(const Principal& principal) {
  if (principal.all_teams) return std::nullopt;
  return std::vector<std::int64_t>(principal.team_ids.begin(), principal.team_ids.end());
}

/// The same, narrowed to the one that is asked for. A team that is not visible narrows to none.
std::optional<std::vector<std::int64_t>> visible_teams(const Principal& principal, std::optional<std::int64_t> wanted) {
  if (!wanted) return visible_teams(principal);
  if (!principal.sees_team(*wanted)) return std::vector<std::int64_t>{};
  return std::vector<std::int64_t>{*wanted};
}

/// What belongs to a team that the principal does not see is not there.
template <typename T>
T require_visible(std::optional<T> found, const Principal& principal, std::string_view what, const std::string& id) {
  if (!found || !principal.sees_team(found->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no {} '{}'", what, id));
  }
  return std::move(*found);
}

model::Service visible_service(metadata::Transaction& tx, const std::string& id, const Principal& principal) {
  return require_visible(metadata::Services(tx).find(id), principal, "service", id);
}

/// With as many statements for a page as for one service.
std::vector<ServiceView> views_of(metadata::Transaction& tx, std::vector<model::Service> services,
                                  const Principal& principal) {
  std::vector<std::string> ids;
  ids.reserve(services.size());
  for (const auto& service : services) ids.push_back(service.id);
  const std::vector<std::string> none;
  auto events = metadata::Events(tx).recent_of(principal.may_read ? ids : none, kRecentEvents);
  auto backups = metadata::Backups(tx).list_of(principal.may(model::kScopeBackupsRead) ? ids : none);
  std::vector<ServiceView> views;
  views.reserve(services.size());
  for (auto& service : services) {
    auto& its = backups[service.id];
    std::erase_if(its, [](const auto& backup) {
      using model::BackupState;
      return backup.state == BackupState::kFailed || backup.state == BackupState::kDeleting ||
             backup.state == BackupState::kLost;
    });
    std::reverse(its.begin(), its.end());
    auto& told = events[service.id];
    views.push_back({std::move(service), std::move(told), std::move(its)});
  }
  return views;
}

/// What a page goes on after must be there: its place in the order is its own row's.
template <typename Store>
void require_position(Store store, const std::string& id) {
  if (!id.empty() && !store.find(id)) throw page_is_gone();
}

}  // namespace

std::vector<model::ProviderDefinition> Queries::providers(std::optional<std::int64_t> team_id,
                                                          const Principal& principal) {
  require_scope(principal, model::kScopeServicesRead);
  if (team_id) static_cast<void>(team(*team_id, principal));
  const auto catalogue = providers_.catalogue();
  std::vector<model::ProviderDefinition> seen;
  for (const auto& offer : catalogue->all()) {
    const bool visible =
        team_id ? offer.visible_to(*team_id)
                : offer.scope.global || principal.all_teams ||
                      std::ranges::any_of(offer.scope.team_ids, [&](auto team) { return principal.sees_team(team); });
    if (visible) seen.push_back(offer);
  }
  return seen;
}

std::vector<ServiceView> Queries::services(const ServiceFilter& filter, const Principal& principal) {
  require_scope(principal, model::kScopeServicesRead);
  metadata::ServiceFilter query;
  query.team_ids = visible_teams(principal, filter.team_id);
  query.include_deleted = filter.include_deleted;
  query.after_id = filter.after_id;
  query.limit = filter.limit;
  return database_.read([&](auto& tx) {
    require_position(metadata::Services(tx), filter.after_id);
    return views_of(tx, metadata::Services(tx).list(query), principal);
  });
}

ServiceView Queries::service(const std::string& id, const Principal& principal) {
  require_scope(principal, model::kScopeServicesRead);
  return database_.read([&](auto& tx) {
    std::vector<model::Service> found;
    found.push_back(visible_service(tx, id, principal));
    return std::move(views_of(tx, std::move(found), principal).front());
  });
}

model::Service Queries::service_record(const std::string& id, const Principal& principal) {
  if (!principal.may(model::kScopeBackupsRead)) require_scope(principal, model::kScopeServicesRead);
  auto record = database_.read([&](auto& tx) { return visible_service(tx, id, principal); });
  record.secrets.clear();
  record.backups.secrets.clear();
  return record;
}

std::vector<ServiceName> Queries::service_names(std::int64_t team_id, const Principal& principal) {
  require_any_read(principal);
  metadata::ServiceFilter query;
  query.team_ids = visible_teams(principal, team_id);
  query.include_deleted = true;
  std::vector<ServiceName> names;
  for (auto& service : database_.read([&](auto& tx) { return metadata::Services(tx).list(query); })) {
    if (!service.candidate_of.empty()) continue;
    names.push_back({std::move(service.id), std::move(service.name), std::move(service.labels),
                     service.backups.retention_days, service.delete_requested_at.has_value()});
  }
  return names;
}

core::json::object Queries::details(const std::string& service_id, const Principal& principal) {
  return service(service_id, principal).service.status.details;
}

std::vector<model::Instance> Queries::instances(const std::string& service_id, const Principal& principal) {
  require_scope(principal, model::kScopeServicesRead);
  return database_.read([&](auto& tx) {
    static_cast<void>(visible_service(tx, service_id, principal));
    auto instances = instances_as_served(tx, service_id);
    std::ranges::reverse(instances);
    return instances;
  });
}

std::optional<AtRisk> Queries::at_risk(const std::string& service_id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  const auto found = database_.read([&](auto& tx) { return visible_service(tx, service_id, principal); });
  return providers_.of_kind(found.provider.kind).at_risk(found.status.instance_id);
}

std::optional<model::Backup> Queries::last_verified(const std::string& service_id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  return database_.read(
      [&](auto& tx) { return metadata::Backups(tx).last_verified(visible_service(tx, service_id, principal).id); });
}

std::optional<model::ChainReport> Queries::chain(const std::string& service_id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  const auto found = database_.read([&](auto& tx) { return visible_service(tx, service_id, principal); });
  return providers_.of_kind(found.provider.kind).chain(found.status.instance_id);
}

std::vector<model::RecoveryWindow> Queries::recovery_windows(const std::string& service_id,
                                                             const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  std::vector<model::RecoveryWindow> windows;
  const auto places =
      database_.read([&](auto& tx) { return recovery_places(tx, visible_service(tx, service_id, principal)); });
  for (const auto& place : places) {
    const bool is_present = windows.empty();
    try {
      auto window = window_of(providers_, place);
      if (is_present || window.earliest) windows.push_back(std::move(window));
    } catch (const core::Error& error) {
      // What is known of the others is told all the same.
      if (is_present) throw;
      windows.push_back({.instance_id = place.body.instance.id,
                         .destination_id = place.body.instance.destination_id,
                         .problem = error.message()});
    }
  }
  return windows;
}

std::vector<model::Backup> Queries::backups(const BackupFilter& filter, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  metadata::BackupFilter query;
  query.service_id = filter.service_id;
  query.after_id = filter.after_id;
  query.limit = filter.limit;
  return database_.read([&](auto& tx) {
    static_cast<void>(visible_service(tx, filter.service_id, principal));
    require_position(metadata::Backups(tx), filter.after_id);
    return metadata::Backups(tx).list(query);
  });
}

model::Backup Queries::backup(const std::string& id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  return require_visible(database_.read([&](auto& tx) { return metadata::Backups(tx).find(id); }), principal, "backup",
                         id);
}

model::Backup Queries::backup_of_number(std::int64_t number, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  return require_visible(database_.read([&](auto& tx) { return metadata::Backups(tx).find_number(number); }), principal,
                         "backup", std::to_string(number));
}

std::vector<model::Operation> Queries::operations(const OperationFilter& filter, const Principal& principal) {
  require_scope(principal, model::kScopeServicesRead);
  metadata::OperationFilter query;
  query.service_id = filter.service_id.value_or("");
  query.team_ids = visible_teams(principal, filter.team_id);
  query.after_id = filter.after_id;
  query.limit = filter.limit;
  return database_.read([&](auto& tx) {
    require_position(metadata::Operations(tx), filter.after_id);
    return metadata::Operations(tx).list(query);
  });
}

model::Operation Queries::operation(const std::string& id, const Principal& principal) {
  require_any_read(principal);
  auto found = require_visible(database_.read([&](auto& tx) { return metadata::Operations(tx).find(id); }), principal,
                               "operation", id);
  // Work on backups is told to whoever may read those.
  const bool of_backups = found.kind == kinds::kRecover || found.kind == kinds::kBackup;
  if (!of_backups || !principal.may(model::kScopeBackupsRead)) require_scope(principal, model::kScopeServicesRead);
  return found;
}

int severity_from_text(std::string_view text) {
  if (text == "error") return model::kSeverityError;
  return text == "warning" ? model::kSeverityWarning : model::kSeverityInfo;
}

std::vector<model::Event> Queries::events(const EventFilter& filter, const Principal& principal) {
  require_read(principal);
  metadata::EventFilter query;
  query.service_id = filter.service_id.value_or("");
  query.team_ids = visible_teams(principal, filter.team_id);
  query.names = events::expand(filter.names, "?name");
  query.min_severity = filter.min_severity;
  query.since = filter.since;
  query.until = filter.until;
  query.newest_first = !filter.after;
  query.after_sequence = filter.after.value_or(0);
  query.before_sequence = filter.before.value_or(0);
  query.limit = filter.limit;
  return database_.read([&](auto& tx) { return metadata::Events(tx).list(query); });
}

std::vector<model::AuditEntry> Queries::audit(const metadata::AuditFilter& filter, const Principal& principal) {
  require_admin(principal);
  return database_.read([&](auto& tx) { return metadata::Audit(tx).list(filter); });
}

std::vector<model::Team> Queries::teams(const Principal& principal) {
  require_any_read(principal);
  auto teams = database_.read([](auto& tx) { return metadata::Teams(tx).list(); });
  std::erase_if(teams, [&](const auto& team) { return !principal.sees_team(team.id); });
  return teams;
}

model::Team Queries::team(std::int64_t id, const Principal& principal) {
  require_any_read(principal);
  auto team = database_.read([&](auto& tx) { return metadata::Teams(tx).find(id); });
  if (!team || !principal.sees_team(id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no team {}", id));
  }
  return std::move(*team);
}

model::Team Queries::team_of_slug(const std::string& slug, const Principal& principal) {
  require_any_read(principal);
  auto team = database_.read([&](auto& tx) { return metadata::Teams(tx).find_by_slug(slug); });
  if (!team || !principal.sees_team(team->id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no team '{}'", slug));
  }
  return std::move(*team);
}

std::vector<model::Token> Queries::tokens(const Principal& principal) {
  if (!principal.is_session) require_admin(principal);
  const auto owner = principal.admin ? std::nullopt : std::optional(principal.account_id);
  return database_.read([&](auto& tx) { return metadata::Tokens(tx).keys(owner); });
}

std::vector<model::Destination> Queries::destinations(std::optional<std::int64_t> team_id, const Principal& principal) {
  require_read(principal);
  auto found = database_.read([&](auto& tx) { return metadata::Destinations(tx).list(team_id); });
  std::erase_if(found, [&](const auto& it) { return it.team_id != 0 && !principal.sees_team(it.team_id); });
  return found;
}

model::Destination Queries::destination(const std::string& id, const Principal& principal) {
  require_read(principal);
  auto found = database_.read([&](auto& tx) { return metadata::Destinations(tx).find(id); });
  if (!found || (found->team_id != 0 && !principal.sees_team(found->team_id))) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no destination '{}'", id));
  }
  return std::move(*found);
}

}  // namespace backstay::control
