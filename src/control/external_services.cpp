#include "control/external_services.h"

#include <algorithm>

#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/external_ids.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

const std::string kService = "service";
const std::string kBackup = "backup";
constexpr std::size_t kLongestId = 64;
/// The caller has a schedule of its own: ours is as rare as it can be.
constexpr std::int64_t kRarest = 730;
constexpr std::int64_t kLongestRetention = 365;

[[noreturn]] void refuse(const std::string& pointer, const std::string& message) {
  throw core::Error(core::Code::kInvalidArgument, fmt::format("{} {}", pointer, message)).with_field(pointer, message);
}

std::int64_t team_of(const Principal& principal) {
  if (principal.team_ids.size() == 1 && !principal.all_teams) return *principal.team_ids.begin();
  throw core::Error(core::Code::kInvalidArgument,
                    "the token speaks for no team or for several: a backend needs the token of one team")
      .with_hint("make a token with allTeams false and one team in teamIds");
}

void check_id(const std::string& pointer, const std::string& id) {
  const bool good = !id.empty() && id.size() <= kLongestId && std::ranges::all_of(id, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
  if (!good) refuse(pointer, fmt::format("must have 1 to {} letters, digits, '-' and '_'", kLongestId));
}

[[noreturn]] void not_found(const std::string& kind, const std::string& id) {
  throw core::Error(core::Code::kNotFound, fmt::format("there is no {} '{}'", kind, id));
}

/// In the words and units of the offer.
std::map<std::string, std::int64_t> parameters_of(const model::ProviderDefinition& offer,
                                                  const model::ServicePlan& chosen) {
  auto parameters = chosen.parameters;
  const auto* plan = offer.find_plan(chosen.id);
  if (plan == nullptr) return parameters;
  for (const auto& parameter : plan->parameters) {
    const auto fixed = chosen.resources.find(parameter.name);
    if (parameter.read_only() && fixed != chosen.resources.end()) {
      parameters[parameter.name] = fixed->second / parameter.unit;
    }
  }
  return parameters;
}

bool is_same_plan(const ExternalPlan& wanted, const model::ServicePlan& now,
                  const std::map<std::string, std::int64_t>& parameters) {
  if (wanted.id.value_or(now.id) != now.id) return false;
  return std::ranges::all_of(wanted.parameters, [&](const auto& item) {
    const auto found = parameters.find(std::string(item.key()));
    return found != parameters.end() && item.value() == core::json::value(found->second);
  });
}

bool same(const model::Secrets& wanted, const model::Secrets& now) {
  return std::ranges::all_of(wanted, [&](const auto& entry) {
    const auto found = now.find(entry.first);
    return found != now.end() && core::equal_in_constant_time(found->second.reveal(), entry.second.reveal());
  });
}

/// The merge of an update as a replacement: what is not wanted any more is taken away.
core::json::object replacing(const core::json::object& now, core::json::object wanted) {
  for (const auto& item : now) {
    if (!wanted.contains(item.key())) wanted[item.key()] = nullptr;
  }
  return wanted;
}

ExternalReport report_of(const model::ProviderDefinition& offer, const model::Service& service) {
  ExternalReport report{.parameters = parameters_of(offer, service.plan),
                        .config = service.config,
                        .details = service.status.details,
                        .pause = service.status.state == model::ServiceState::kPaused,
                        .error = service.status.reason};
  // Until what is asked for is in effect, the service is not ready for its caller.
  const bool in_effect = service.status.state == model::ServiceState::kSynchronized &&
                         service.status.observed_generation == service.generation;
  if (!in_effect) report.details["ready"] = false;
  if (!report.error.empty() && !service.status.next_step.empty()) report.error += "; " + service.status.next_step;
  return report;
}

}  // namespace

model::ProviderDefinition ExternalServices::require_offer(const ExternalProvider& provider) const {
  auto offer = deps_.providers.find(provider.name, provider.version);
  // What a backend elsewhere runs is not passed on: a provider could be its own backend.
  if (offer && deps_.providers.of_kind(offer->kind).is_local()) return std::move(*offer);
  not_found("provider", provider.name + "' version '" + provider.version);
}

std::optional<model::Service> ExternalServices::find(const ExternalProvider& provider, std::int64_t team,
                                                     const std::string& id) {
  return deps_.database.read([&](auto& tx) -> std::optional<model::Service> {
    const auto known = metadata::ExternalIds(tx).find(kService, team, id);
    if (!known) return std::nullopt;
    auto service = metadata::Services(tx).find(known->object_id);
    if (!service || service->deleted_at || service->team_id != team) return std::nullopt;
    if (service->provider.name != provider.name || service->provider.version != provider.version) return std::nullopt;
    return service;
  });
}

model::Service ExternalServices::require(const ExternalProvider& provider, std::int64_t team, const std::string& id) {
  auto found = find(provider, team, id);
  if (!found) not_found("service", id);
  return std::move(*found);
}

std::string ExternalServices::reserve(const std::string& kind, std::int64_t team, const std::string& id,
                                      std::int64_t caller_team) {
  return deps_.database.write([&](auto& tx) {
    metadata::ExternalIds ids(tx);
    if (const auto known = ids.find(kind, team, id)) return known->object_id;
    auto object = deps_.random.uuid();
    ids.insert({kind, team, id, object, caller_team, deps_.clock.now()});
    return object;
  });
}

RecoverRequest ExternalServices::recovery_of(const ExternalRecovery& wanted, std::int64_t team) {
  const auto object_of = [&](const std::string& kind, const std::string& id, const std::string& pointer) {
    const auto known = deps_.database.read([&](auto& tx) { return metadata::ExternalIds(tx).find(kind, team, id); });
    if (!known) refuse(pointer, fmt::format("names no {} of this backend", kind));
    return known->object_id;
  };
  RecoverRequest request;
  if (wanted.backup_id) request.backup_id = object_of(kBackup, *wanted.backup_id, "/recoverFrom/id");
  if (wanted.service_id) request.service_id = object_of(kService, *wanted.service_id, "/recoverFrom/msId");
  request.time = wanted.time;
  request.config = wanted.config;
  request.secrets = wanted.secrets;
  return request;
}

void ExternalServices::create(const ExternalProvider& provider, const ExternalCreation& wanted,
                              const Principal& principal) {
  require_write(principal);
  const auto team = team_of(principal);
  const auto offer = require_offer(provider);
  check_id("/id", wanted.id);
  const auto object = reserve(kService, team, wanted.id, wanted.team_id);
  const auto made = [&] { return deps_.database.read([&](auto& tx) { return metadata::Services(tx).find(object); }); };
  if (const auto service = made()) {
    const bool is_it = service->provider.name == offer.name && service->provider.version == offer.version;
    if (is_it && !service->delete_requested_at && !service->deleted_at) return;
    throw core::Error(core::Code::kConflict, is_it
                                                 ? fmt::format("the service '{}' is deleted", wanted.id)
                                                 : fmt::format("the id '{}' belongs to a service of the provider '{}'",
                                                               wanted.id, service->provider.name));
  }
  CreateServiceRequest request;
  request.id = object;
  request.team_id = team;
  request.name = offer.name + "-" + wanted.id;
  request.provider = {offer.name, offer.version};
  request.plan = {wanted.plan.id.value_or(offer.plans.front().id), wanted.plan.parameters};
  request.config = wanted.config;
  request.secrets = wanted.secrets;
  request.app_version = wanted.app_version;
  try {
    if (wanted.recover_from) request.recover_from = recovery_of(*wanted.recover_from, team);
    deps_.commands.create_service(request, principal);
  } catch (const core::Error&) {
    if (made()) return;  // the same request, twice at once
    deps_.database.write([&](auto& tx) { metadata::ExternalIds(tx).remove(kService, team, wanted.id); });
    throw;
  }
}

void ExternalServices::change(const ExternalProvider& provider, const std::string& id, const ExternalChange& wanted,
                              const Principal& principal) {
  require_write(principal);
  const auto offer = require_offer(provider);
  const auto service = require(provider, team_of(principal), id);
  UpdateServiceRequest request;
  if (wanted.plan && !is_same_plan(*wanted.plan, service.plan, parameters_of(offer, service.plan))) {
    request.plan = PlanRequest{wanted.plan->id.value_or(service.plan.id), wanted.plan->parameters};
  }
  if (wanted.config && *wanted.config != service.config) request.config = replacing(service.config, *wanted.config);
  if (wanted.secrets && !same(*wanted.secrets, service.secrets)) request.secrets = wanted.secrets;
  if (wanted.pause && *wanted.pause != service.pause) request.pause = wanted.pause;
  if (wanted.app_version && *wanted.app_version != service.app_version) request.app_version = wanted.app_version;
  // Callers repeat what they are not sure of; that is no change.
  if (!request.plan && !request.config && !request.secrets && !request.pause && !request.app_version) return;
  deps_.commands.update_service(service.id, request, principal);
}

void ExternalServices::remove(const ExternalProvider& provider, const std::string& id, const Principal& principal) {
  require_write(principal);
  require_offer(provider);
  const auto service = require(provider, team_of(principal), id);
  if (service.delete_requested_at) return;
  // The caller took its final backup, if it wanted one, before it came here.
  deps_.commands.delete_service(service.id, FinalBackup::kSkip, principal);
}

std::vector<std::string> ExternalServices::list(const ExternalProvider& provider, const Principal& principal) {
  require_read(principal);
  require_offer(provider);
  const auto team = team_of(principal);
  const auto known = deps_.database.read([&](auto& tx) { return metadata::ExternalIds(tx).list(kService, team); });
  std::vector<std::string> ids;
  for (const auto& one : known) {
    if (find(provider, team, one.external_id)) ids.push_back(one.external_id);
  }
  return ids;
}

std::map<std::string, ExternalReport> ExternalServices::report(const ExternalProvider& provider,
                                                               const std::vector<std::string>& ids,
                                                               const Principal& principal) {
  require_read(principal);
  const auto offer = require_offer(provider);
  const auto team = team_of(principal);
  std::map<std::string, ExternalReport> reports;
  for (const auto& id : ids) {
    if (const auto service = find(provider, team, id)) reports.emplace(id, report_of(offer, *service));
  }
  return reports;
}

void ExternalServices::direct_backups(const model::Service& service, const ExternalBackupOrder& order,
                                      const Principal& principal) {
  const auto& now = service.backups;
  const auto retention = order.retention_days.value_or(kLongestRetention);
  const bool same_place = now.config == order.config && same(order.secrets, now.secrets);
  if (now.enabled && same_place && now.retention_days == retention) return;
  BackupsRequest backups;
  backups.enabled = true;
  backups.retention_days = retention;
  if (!now.enabled) backups.interval_hours = kRarest;
  if (!now.enabled || !same_place) {
    backups.config = order.config;
    backups.secrets = order.secrets;
  }
  UpdateServiceRequest request;
  request.backups = std::move(backups);
  deps_.commands.update_service(service.id, request, principal);
}

void ExternalServices::order_backup(const ExternalProvider& provider, const ExternalBackupOrder& order,
                                    const Principal& principal) {
  require_write(principal);
  const auto offer = require_offer(provider);
  if (!offer.capabilities.backups) {
    throw core::Error(core::Code::kNotSupported, fmt::format("the provider '{}' does not take backups", offer.name));
  }
  const auto team = team_of(principal);
  check_id("/backupId", order.id);
  if (order.retention_days.value_or(1) > kLongestRetention) {
    refuse("/retentionDays",
           fmt::format("is at most {}; without it {} days are kept", kLongestRetention, kLongestRetention));
  }
  const auto service = require(provider, team, order.service_id);
  const auto object = reserve(kBackup, team, order.id, order.team_id);
  const auto made = [&] { return deps_.database.read([&](auto& tx) { return metadata::Backups(tx).find(object); }); };
  if (made()) return;
  try {
    direct_backups(service, order, principal);
    deps_.commands.schedule_backup(service.id, principal, {.id = object});
  } catch (const core::Error&) {
    if (made()) return;
    deps_.database.write([&](auto& tx) { metadata::ExternalIds(tx).remove(kBackup, team, order.id); });
    throw;
  }
}

std::optional<model::Backup> ExternalServices::find_backup(std::int64_t team, const std::string& id) {
  auto found = deps_.database.read([&](auto& tx) -> std::optional<model::Backup> {
    const auto known = metadata::ExternalIds(tx).find(kBackup, team, id);
    return known ? metadata::Backups(tx).find(known->object_id) : std::nullopt;
  });
  if (found && found->team_id != team) return std::nullopt;
  return found;
}

void ExternalServices::remove_backup(const ExternalProvider& provider, const std::string& id,
                                     const Principal& principal) {
  require_offer(provider);
  const auto found = find_backup(team_of(principal), id);
  if (!found) not_found("backup", id);
  deps_.commands.delete_backup(found->id, principal);
}

ExternalBackup ExternalServices::backup(const ExternalProvider& provider, const std::string& id,
                                        const std::string& service_id, const Principal& principal) {
  require_read(principal);
  require_offer(provider);
  const auto team = team_of(principal);
  const auto found = find_backup(team, id);
  if (!found) {
    if (!find(provider, team, service_id)) not_found("backup", id);
    return {};
  }
  ExternalBackup backup{.exists = found->confirmed_at.has_value() && found->state == model::BackupState::kCompleted,
                        .error = {}};
  if (!backup.exists && found->state != model::BackupState::kScheduled &&
      found->state != model::BackupState::kRunning) {
    backup.error = found->error.empty() ? "the backup is deleted" : found->error;
  }
  return backup;
}

}  // namespace backstay::control
