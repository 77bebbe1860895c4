#include "control/admission.h"

#include "control/refusals.h"
#include "control/storage_use.h"
#include "control/tier_rules.h"
#include "core/error.h"
#include "metadata/destinations.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

/// A null removes the key.
void merge(core::json::object& into, const core::json::object& from) {
  for (const auto& [key, value] : from) {
    if (value.is_null()) {
      into.erase(key);
    } else {
      into[key] = value;
    }
  }
}

void merge(model::Secrets& into, const model::Secrets& from) {
  for (const auto& [name, secret] : from) into[name] = secret;
}

/// One of those that the provider publishes now, or the one that the service has.
std::string choose_version(const model::ProviderDefinition& offer, const std::optional<std::string>& asked,
                           const std::string& before) {
  if (!asked || *asked == before) return before;
  if (offer.versions.empty()) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("the provider '{}' has no versions to choose from", offer.name))
        .with_field("/version", "is not offered by this provider");
  }
  if (offer.versions.contains(*asked)) return *asked;
  std::string known;
  for (const auto& [name, version] : offer.versions) known += (known.empty() ? "" : ", ") + std::string(name);
  throw core::Error(core::Code::kInvalidArgument,
                    fmt::format("the provider '{}' has no version '{}'", offer.name, *asked))
      .with_field("/version", "must be one of " + known);
}

/// The provider has no say in it, and may have been withdrawn.
bool concerns_record_only(const UpdateServiceRequest& request) {
  return !request.config && !request.secrets && !request.plan && !request.backups && !request.pause &&
         !request.app_version;
}

AdmittedService update_record(const model::Service& before, const UpdateServiceRequest& request) {
  if (request.name) model::check_service_name(*request.name);
  AdmittedService admitted{before, {}};
  admitted.service.name = request.name.value_or(before.name);
  admitted.service.deletion_protection = request.deletion_protection.value_or(before.deletion_protection);
  admitted.service.labels = model::changed(before.labels, request.labels);
  model::check_labels(admitted.service.labels);
  return admitted;
}

/// What was asked for, completed by what comes with the plan.
std::optional<BackupsRequest> backups_wanted(const model::Service& wanted, const std::optional<BackupsRequest>& asked,
                                             Refusals& refusals) {
  const auto* tier = model::tier_of(wanted);
  return tier == nullptr ? asked : tier_backups(*tier, asked.value_or(BackupsRequest()), refusals);
}

bool same_secret(const core::Secret& a, const core::Secret& b) {
  return core::equal_in_constant_time(a.reveal(), b.reveal());
}

}  // namespace

AdmittedService Admission::create(const CreateServiceRequest& request, const Principal& principal) {
  Refusals refusals;
  if (!principal.sees_team(request.team_id) ||
      !deps_.database.read([&](auto& tx) { return metadata::Teams(tx).find(request.team_id); })) {
    refusals.add("/teamId", fmt::format("there is no team {} that this token may use", request.team_id));
  }
  const auto catalogue = deps_.providers.catalogue();
  const auto& offer = catalogue->require(request.provider.name, request.provider.version.value_or(""), request.team_id);
  AdmittedService admitted;
  model::Service& service = admitted.service;
  service.id = request.id.value_or(deps_.random.uuid());
  service.team_id = request.team_id;
  service.name = request.name;
  service.provider = {offer.name, offer.version, offer.kind};
  service.config = request.config;
  service.secrets = request.secrets;
  service.deletion_protection = request.deletion_protection;
  service.labels = request.labels;
  service.created_at = service.updated_at = deps_.clock.now();
  refusals.check([&] { model::check_service_name(request.name); });
  refusals.check([&] { model::check_labels(request.labels); });
  refusals.check([&] { service.app_version = choose_version(offer, request.app_version, ""); });
  refusals.check([&] { service.plan = model::resolve_plan(offer, request.plan.id, request.plan.parameters); });
  refusals.check([&] { model::check_config(offer, service.config); });
  refusals.check([&] { model::check_secrets(offer, service.secrets); });
  // The provider judges what the schemas let pass.
  if (refusals.empty()) refusals.check([&] { deps_.providers.of_kind(offer.kind).check(service, nullptr); });
  const auto backups = backups_wanted(service, request.backups, refusals);
  if (backups) judge_backups(service, *backups, offer, refusals);
  refusals.raise();
  if (backups) place_backups({}, *backups, admitted);
  return admitted;
}

AdmittedService Admission::update(const model::Service& before, const UpdateServiceRequest& request) {
  if (concerns_record_only(request)) return update_record(before, request);
  const auto catalogue = deps_.providers.catalogue();
  const auto& offer = catalogue->require(before.provider.name, before.provider.version);
  if (request.pause.value_or(false) && !offer.capabilities.pause) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("services of the provider '{}' cannot be paused", offer.name))
        .with_field("/pause", "must be false for this provider");
  }
  AdmittedService admitted{before, {}};
  model::Service& service = admitted.service;
  Refusals refusals;
  if (request.name) service.name = *request.name;
  if (request.pause) service.pause = *request.pause;
  service.deletion_protection = request.deletion_protection.value_or(before.deletion_protection);
  service.labels = model::changed(before.labels, request.labels);
  refusals.check([&] { model::check_labels(service.labels); });
  refusals.check([&] { service.app_version = choose_version(offer, request.app_version, before.app_version); });
  if (request.config) merge(service.config, *request.config);
  if (request.secrets) merge(service.secrets, *request.secrets);
  refusals.check([&] { model::check_service_name(service.name); });
  if (request.plan) {
    refusals.check(
        [&] { service.plan = model::resolve_plan(offer, request.plan->id, request.plan->parameters, &before.plan); });
  }
  refusals.check([&] { model::check_config(offer, service.config); });
  refusals.check([&] { model::check_config_update(offer, before.config, service.config); });
  refusals.check([&] { model::check_secrets(offer, service.secrets); });
  refusals.check([&] { model::check_secrets_update(offer, before.secrets, service.secrets); });
  if (refusals.empty()) refusals.check([&] { deps_.providers.of_kind(offer.kind).check(service, &before); });
  if (refusals.empty()) check_storage_fits(deps_.database, before, service);
  const auto backups =
      request.backups || request.plan ? backups_wanted(service, request.backups, refusals) : std::nullopt;
  if (backups) judge_backups(service, *backups, offer, refusals);
  refusals.raise();
  if (backups) place_backups(before.backups, *backups, admitted);
  return admitted;
}

void Admission::judge_backups(model::Service& service, const BackupsRequest& request,
                              const model::ProviderDefinition& offer, Refusals& refusals) {
  auto& backups = service.backups;
  backups.enabled = request.enabled.value_or(backups.enabled);
  if (request.interval_hours) backups.interval_h = *request.interval_hours;
  if (request.retention_days) backups.retention_days = *request.retention_days;
  // Together they name one place: parts of two places make none.
  if (request.config) backups.config = *request.config;
  if (request.secrets) backups.secrets = *request.secrets;
  if (request.destination_id) backups.config = {{"destinationId", *request.destination_id}};
  if (backups.config.contains("destinationId")) backups.secrets.clear();
  if (!backups.enabled) return;

  if (!offer.capabilities.backups) {
    refusals.add("/backups/enabled", fmt::format("must be false: the provider '{}' does not take backups", offer.name));
    return;
  }
  refusals.check([&] { model::check_backup_settings(backups); });
  const bool is_local = deps_.providers.of_kind(offer.kind).is_local();
  // Of other providers only the backend knows the place.
  if (is_local && backups.config.contains("destinationId")) {
    refusals.check([&] {
      find_destination(service.team_id, core::require_string(backups.config, "destinationId", "/backups/config"),
                       "/backups/config/destinationId");
    });
  } else if (!is_local || !backups.config.empty() || !backups.secrets.empty()) {
    refusals.check([&] { model::check_backup_store(offer, backups.config, backups.secrets); });
    if (is_local) refusals.check([&] { check_store(backups.config, backups.secrets, "/backups"); });
  }
}

bool Admission::is_lost(const std::string& destination_id) {
  const auto found = deps_.database.read([&](auto& tx) { return metadata::Destinations(tx).find(destination_id); });
  return found && found->lost_at;
}

void Admission::place_backups(const model::BackupSettings& before, const BackupsRequest& request,
                              AdmittedService& admitted) {
  auto& service = admitted.service;
  auto& backups = service.backups;
  if (!backups.enabled) return;
  if (!before.enabled) backups.enabled_at = deps_.clock.now();
  if (!deps_.providers.of_kind(service.provider.kind).is_local()) return;
  const bool names_place = request.config || request.secrets || request.destination_id;
  if (!names_place && !backups.destination_id.empty() && !is_lost(backups.destination_id)) return;
  admitted.destination = resolve_destination(service.team_id, backups.config, backups.secrets, "/backups");
  if (backups.destination_id != admitted.destination->destination.id) {
    backups.destination_id = admitted.destination->destination.id;
    backups.enabled_at = deps_.clock.now();
  }
}

std::pair<model::Destination, std::vector<ProbeCheck>> Admission::probe_new(std::int64_t team_id,
                                                                            const core::json::object& config,
                                                                            const model::Secrets& secrets) {
  auto destination = check_store(config, secrets, "");
  const auto known = deps_.database.read([&](auto& tx) {
    return metadata::Destinations(tx).find_place(team_id, destination.url, destination.endpoint_url);
  });
  if (known) {
    throw core::Error(core::Code::kAlreadyExists, fmt::format("the destination '{}' is entered already", known->url));
  }
  destination.team_id = team_id;
  auto checks = probe(destination, "");
  return {std::move(destination), std::move(checks)};
}

std::vector<ProbeCheck> Admission::probe_again(const model::Destination& changed) {
  judge_store(changed, "");
  return probe(changed, "");
}

model::Destination Admission::check_store(const core::json::object& config, const model::Secrets& secrets,
                                          std::string_view pointer) {
  auto destination = parse_destination(config, secrets, pointer);
  judge_store(destination, pointer);
  return destination;
}

void Admission::judge_store(const model::Destination& destination, std::string_view pointer) {
  Refusals refusals;
  refusals.check([&] { require_keys(destination, pointer); });
  refusals.check([&] {
    try {
      deps_.stores.check(destination);
    } catch (const core::Error& error) {
      throw at_place(error, destination, pointer);
    }
  });
  refusals.raise();
}

std::vector<ProbeCheck> Admission::probe(const model::Destination& destination, std::string_view pointer) {
  try {
    return deps_.stores.probe(destination);
  } catch (const core::Error& error) {
    throw at_place(error, destination, pointer);
  }
}

model::Destination Admission::find_destination(std::int64_t team_id, const std::string& id, std::string_view field) {
  const auto found = deps_.database.read([&](auto& tx) { return metadata::Destinations(tx).find(id); });
  if (!found || (found->team_id != 0 && found->team_id != team_id)) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("there is no destination '{}' for this team", id))
        .with_field(std::string(field), "names no destination of the team");
  }
  if (found->lost_at) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("the destination '{}' was declared lost", found->name))
        .with_field(std::string(field), "was declared lost");
  }
  return *found;
}

NamedDestination Admission::resolve_destination(std::int64_t team_id, const core::json::object& config,
                                                const model::Secrets& secrets, std::string_view pointer) {
  if (const auto id = core::find_string(config, "destinationId", std::string(pointer) + "/config")) {
    return part_of_team(find_destination(team_id, *id, std::string(pointer) + "/config/destinationId"), team_id,
                        pointer);
  }
  if (config.empty() && secrets.empty()) {
    if (auto found = default_destination(team_id, pointer)) return std::move(*found);
    throw core::Error(core::Code::kInvalidArgument,
                      "backups have nowhere to go: none is named, and the operator has named no default destination")
        .with_field(std::string(pointer) + "/config/destinationPath",
                    "is required: s3://bucket/prefix or file:///directory");
  }
  return named(team_id, check_store(config, secrets, pointer), pointer);
}

NamedDestination Admission::destination_of(std::int64_t team_id, const std::string& id, std::string_view field) {
  return part_of_team(find_destination(team_id, id, field), team_id, "");
}

std::optional<NamedDestination> Admission::default_destination(std::int64_t team_id, std::string_view pointer) {
  auto found = deps_.database.read([&](auto& tx) { return metadata::Destinations(tx).find_default(team_id); });
  if (!found) return std::nullopt;
  return part_of_team(std::move(*found), team_id, pointer);
}

bool Admission::has_default(std::int64_t team_id) {
  return deps_.database.read([&](auto& tx) { return metadata::Destinations(tx).find_default(team_id).has_value(); });
}

std::string Admission::part_url(const std::string& url, std::int64_t team_id) {
  return fmt::format("{}{}team-{}", url, url.ends_with('/') ? "" : "/", team_id);
}

NamedDestination Admission::part_of_team(model::Destination place, std::int64_t team_id, std::string_view pointer) {
  if (place.team_id == team_id) return {std::move(place)};
  model::Destination part;
  part.url = part_url(place.url, team_id);
  part.endpoint_url = std::move(place.endpoint_url);
  part.region = std::move(place.region);
  part.path_style = place.path_style;
  part.access_key = std::move(place.access_key);
  part.secret_key = std::move(place.secret_key);
  return named(team_id, std::move(part), pointer);
}

NamedDestination Admission::named(std::int64_t team_id, model::Destination wanted, std::string_view pointer) {
  auto known = deps_.database.read(
      [&](auto& tx) { return metadata::Destinations(tx).find_place(team_id, wanted.url, wanted.endpoint_url); });
  if (known && same_secret(known->access_key, wanted.access_key) && same_secret(known->secret_key, wanted.secret_key) &&
      known->region == wanted.region) {
    return {*known};
  }
  if (known) wanted.id = known->id;
  wanted.team_id = team_id;
  const auto checks = probe(wanted, pointer);
  NamedDestination named{known.value_or(wanted), !known, known.has_value()};
  auto& destination = named.destination;
  if (named.is_new) {
    destination.id = deps_.random.uuid();
    destination.team_id = team_id;
    destination.name = wanted.url;
    destination.made_for_service = true;
    destination.created_at = deps_.clock.now();
  }
  destination.region = wanted.region;
  destination.path_style = wanted.path_style;
  destination.access_key = wanted.access_key;
  destination.secret_key = wanted.secret_key;
  destination.probe = probe_to_json(checks);
  destination.probed_at = deps_.clock.now();
  return named;
}

}  // namespace backstay::control
