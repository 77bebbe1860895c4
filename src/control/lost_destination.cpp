// The part of ServiceCommands that declares a destination lost, with all that is stored there.
#include "control/idempotency.h"
#include "control/retention_schedule.h"
#include "control/service_commands.h"
#include "core/error.h"
#include "metadata/destinations.h"
#include "metadata/lost_places.h"
#include "metadata/services.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

/// Why it cannot be given up yet, in words; empty if it can.
std::string obstacle_to_loss(metadata::Transaction& tx, const model::Destination& place) {
  for (const auto& id : metadata::LostPlaces(tx).services(place.id)) {
    const auto service = metadata::Services(tx).require(id);
    if (service.deleted_at || (!service.backups.enabled && !service.delete_requested_at)) continue;
    return service.delete_requested_at
               ? fmt::format("the service '{}' is being deleted and its last state is to go there", service.name)
               : fmt::format("the backups of the service '{}' go there", service.name);
  }
  for (const auto& user : metadata::Destinations(tx).users(place.id)) {
    if (user.kind == "schedule") return fmt::format("the schedule '{}' sends backups there", user.name);
  }
  const auto open = metadata::LostPlaces(tx).backups_under_way(place.id);
  return open.empty() ? "" : fmt::format("the backup '{}' is on its way there", open.front());
}

void require_given_up(metadata::Transaction& tx, const model::Destination& place) {
  const auto obstacle = obstacle_to_loss(tx, place);
  if (obstacle.empty()) return;
  throw core::Error(core::Code::kConflict, fmt::format("the destination '{}' is in use: {}", place.name, obstacle))
      .with_hint(
          "send those backups elsewhere or switch them off first; delete a service that waits for its final "
          "backup again with finalBackup=skip; cancel what is under way");
}

std::string in_words(std::int64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// The operator's place with the parts that teams have of it, or a team's own.
std::vector<model::Destination> with_parts(metadata::Transaction& tx, const model::Destination& place) {
  std::vector<model::Destination> all{place};
  if (place.team_id != 0) return all;
  for (const auto& team : metadata::Teams(tx).list()) {
    auto part =
        metadata::Destinations(tx).find_place(team.id, Admission::part_url(place.url, team.id), place.endpoint_url);
    if (part && part->made_for_service) all.push_back(std::move(*part));
  }
  return all;
}

}  // namespace

Preview ServiceCommands::lose_destination(const std::string& id, const std::string& name, const Principal& principal,
                                          Effect effect) {
  require_admin(principal);
  const auto seen = require_destination(id, principal);
  if (name != seen.name) {
    throw core::Error(core::Code::kInvalidArgument, "the name is given to make sure that the right one is meant")
        .with_field("/name", fmt::format("must be '{}', the destination's name", seen.name));
  }
  if (seen.lost_at) return {.effects = {"nothing changes: it was declared lost before"}};
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  std::int64_t backups = 0;
  std::int64_t services = 0;
  for (const auto& place : with_parts(tx, metadata::Destinations(tx).require(id))) {
    require_given_up(tx, place);
    const auto lost = lose_place(tx, place);
    services += std::ssize(lost);
    for (const auto& [service, count] : lost) backups += count;
  }
  Preview preview{.effects = {fmt::format("{} of {} are lost for ever; nothing is asked of '{}' any more",
                                          in_words(backups, "backup"), in_words(services, "service"), seen.url)}};
  if (effect == Effect::kDryRun) return preview;
  take_effect(tx, principal, id);
  tx.commit();
  return preview;
}

std::map<std::string, std::int64_t> ServiceCommands::lose_place(metadata::Transaction& tx, model::Destination place) {
  const auto now = deps_.clock.now();
  place.lost_at = now;
  place.is_default = false;
  metadata::Destinations(tx).update(place);
  const auto at = core::format_time(now);
  const auto lost = metadata::LostPlaces(tx).lose(
      place.id, fmt::format("its store '{}' was declared lost at {}", place.url, at),
      "it cannot be recovered; if the store comes back, the offline commands read it with the recovery kit");
  events_.record(tx, place.team_id, events::kDestinationLost,
                 fmt::format("'{}' was declared lost with all that is stored there", place.url),
                 {{"destination.id", place.id}});
  for (const auto& [service_id, count] : lost) {
    events_.record(tx, metadata::Services(tx).require(service_id), events::kBackupsLost,
                   fmt::format("{} {} lost with '{}'; take a new one where they go now", in_words(count, "backup"),
                               count == 1 ? "is" : "are", place.url),
                   {{"destination.id", place.id}});
    hurry_retention(tx, service_id, now);
  }
  // Records of deleted services that wait for it wait no longer.
  for (const auto& service_id : metadata::LostPlaces(tx).services(place.id)) hurry_retention(tx, service_id, now);
  return lost;
}

}  // namespace backstay::control
