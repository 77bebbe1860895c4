#include "control/recovery_places.h"

#include <algorithm>

#include "control/instance_records.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/instances.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

/// Where the instance's archive goes, and where its backups lie besides.
std::vector<std::string> destinations_of(const model::Instance& instance, const std::vector<model::Backup>& backups) {
  std::vector<std::string> ids{instance.destination_id};
  for (const auto& backup : backups) {
    const bool is_known = std::ranges::find(ids, backup.destination_id) != ids.end();
    if (backup.instance_id == instance.id && backup.stored_at && !is_known) ids.push_back(backup.destination_id);
  }
  std::erase(ids, "");
  return ids;
}

RecoveryPlace at(const model::Service& service, model::Instance instance, BackupTarget target) {
  instance.destination_id = target.destination.id;
  ServiceBody body;
  body.service = service;
  body.instance = std::move(instance);
  body.backups = std::move(target);
  return {.body = std::move(body)};
}

/// Nothing for an archive of more than single states.
std::optional<std::vector<core::Timestamp>> states_at(const model::Instance& instance, const std::string& destination,
                                                      const std::vector<model::Backup>& backups) {
  if (archives_continuously(instance, destination, backups)) return std::nullopt;
  std::vector<core::Timestamp> states;
  for (const auto& backup : backups) {
    if (backup.instance_id == instance.id && backup.destination_id == destination && backup.taken_at &&
        backup.stored_at && backup.state != model::BackupState::kDeleting &&
        backup.mechanism == model::BackupMechanism::kPhysical) {
      states.push_back(*backup.taken_at);
    }
  }
  return states;
}

core::Secret recovery_key_of(metadata::Transaction& tx, std::int64_t team_id) {
  const auto team = metadata::Teams(tx).find(team_id);
  return team ? team->recovery_key : core::Secret();
}

/// When the service pointed at the instance, oldest first; the last span may go on.
std::vector<model::ServedSpan> spans_of(const model::Instance& instance) {
  auto spans = instance.served_before;
  if (instance.served_from) {
    spans.push_back({*instance.served_from, instance.served_until.value_or(core::Timestamp::max())});
  }
  return spans;
}

bool served_at(const model::Instance& instance, core::Timestamp time) {
  return std::ranges::any_of(spans_of(instance),
                             [&](const auto& span) { return span.from <= time && time <= span.until; });
}

/// What lies between the spans is another instance's.
void cut_to_spans(model::RecoveryWindow& window, const std::vector<model::ServedSpan>& spans) {
  window.earliest = std::max(*window.earliest, spans.front().from);
  window.latest = std::min(*window.latest, spans.back().until);
  for (std::size_t i = 1; i < spans.size(); ++i) {
    const auto from = std::max(spans[i - 1].until, *window.earliest);
    const auto to = std::min(spans[i].from, *window.latest);
    if (from < to) window.gaps.push_back({from, to, "another instance served the service then"});
  }
  std::ranges::sort(window.gaps, {}, &model::RecoveryGap::from);
}

std::string nearest_in_words(const model::NearestTimes& nearest) {
  if (nearest.before && nearest.after) {
    return fmt::format("the nearest times within reach are {} and {}", core::format_time(*nearest.before),
                       core::format_time(*nearest.after));
  }
  const auto only = nearest.before ? nearest.before : nearest.after;
  return only ? "the nearest time within reach is " + core::format_time(*only) : "no time is within reach";
}

}  // namespace

std::vector<RecoveryPlace> recovery_places(metadata::Transaction& tx, const model::Service& service,
                                           const std::optional<model::Destination>& elsewhere) {
  metadata::BackupFilter filter;
  filter.service_id = service.id;
  const auto backups = metadata::Backups(tx).list(filter);
  const auto key = recovery_key_of(tx, service.team_id);
  std::vector<RecoveryPlace> places;
  auto instances = instances_as_served(tx, service.id);
  std::ranges::reverse(instances);
  for (const auto& instance : instances) {
    const auto known_places = destinations_of(instance, backups);
    if (elsewhere) {
      if (!known_places.empty()) places.push_back(at(service, instance, {*elsewhere, key}));
      continue;
    }
    for (const auto& id : known_places) {
      const auto known = metadata::Destinations(tx).find(id);
      if (!known || known->lost_at) continue;
      places.push_back(at(service, instance, {*known, key}));
      places.back().states = states_at(instance, id, backups);
    }
  }
  return places;
}

RecoveryPlace place_of_backup(metadata::Transaction& tx, const model::Service& service, const model::Backup& backup,
                              const std::optional<model::Destination>& elsewhere) {
  const auto destination = elsewhere ? *elsewhere : metadata::Destinations(tx).require(backup.destination_id);
  return at(service, metadata::Instances(tx).require(backup.instance_id),
            {destination, recovery_key_of(tx, service.team_id)});
}

model::RecoveryWindow window_of(const ProviderRegistry& providers, const RecoveryPlace& place) {
  const auto& instance = place.body.instance;
  auto window = place.states ? model::window_of_states(*place.states, "only the states of single backups lie there")
                             : providers.of_kind(place.body.service.provider.kind).recovery_window(place.body);
  window.instance_id = instance.id;
  window.destination_id = instance.destination_id;
  const auto spans = spans_of(instance);
  if (window.earliest && window.latest && !spans.empty()) cut_to_spans(window, spans);
  if (window.earliest && window.latest && *window.latest < *window.earliest) {
    window.earliest = window.latest = std::nullopt;
  }
  return window;
}

RecoveryPlace choose_place(const ProviderRegistry& providers, const std::vector<RecoveryPlace>& places,
                           const std::optional<core::Timestamp>& time) {
  if (places.size() == 1 && (!time || !places.front().states)) return places.front();
  std::vector<model::RecoveryWindow> windows;
  for (const auto& place : places) {
    windows.push_back(window_of(providers, place));
    const bool holds_it = time ? model::can_reach(windows.back(), *time) : windows.back().latest.has_value();
    if (holds_it) return place;
  }
  const auto& present = places.front();
  const auto& instance = present.body.instance;
  if (!time || (!present.states && served_at(instance, *time) && !instance.served_until)) return present;
  throw core::Error(
      core::Code::kRecoveryOutOfReach,
      fmt::format("the time {} is not within reach: {}; {}", core::format_time(*time),
                  present.states ? "only the states of single backups are" : "the service had no archive then",
                  nearest_in_words(model::nearest_reachable(model::union_of(windows), *time))));
}

}  // namespace backstay::control
