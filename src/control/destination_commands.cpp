// The part of ServiceCommands that speaks of destinations.
#include "control/idempotency.h"
#include "control/refusals.h"
#include "control/service_commands.h"
#include "core/error.h"
#include "core/text.h"
#include "metadata/destinations.h"
#include "metadata/teams.h"
#include "model/destination_provider.h"

namespace backstay::control {
namespace {

constexpr std::size_t kLongestName = 100;

void check_name(Refusals& refusals, std::string_view name) {
  if (core::trim(name).empty() || name.size() > kLongestName) {
    refusals.add("/name", fmt::format("needs 1 to {} characters", kLongestName));
  }
}

/// What was named of the place, as a request names it.
core::json::object config_of(const model::Destination& destination) {
  const auto named = model::without_derived(destination);
  core::json::object config{{"destinationPath", named.url}, {"pathStyle", named.path_style}};
  for (const auto& [key, value] : {std::pair("endpointUrl", &named.endpoint_url), std::pair("region", &named.region),
                                   std::pair("provider", &named.provider), std::pair("accountId", &named.account_id),
                                   std::pair("jurisdiction", &named.jurisdiction)}) {
    if (!value->empty()) config[key] = *value;
  }
  return config;
}

bool is_same_place(const model::Destination& a, const model::Destination& b) {
  return a.url == b.url && a.endpoint_url == b.endpoint_url;
}

/// The destination as the request wants it, not looked at yet.
model::Destination changed(const model::Destination& before, const UpdateDestinationRequest& request) {
  auto config = config_of(before);
  for (const auto& [key, value] : request.config.value_or(core::json::object())) {
    if (value.is_null()) {
      config.erase(key);
    } else {
      config[key] = value;
    }
  }
  auto after = before;
  const auto place = parse_destination(config, request.secrets.value_or(model::Secrets()), "");
  after.name = request.name.value_or(before.name);
  after.is_default = request.is_default.value_or(before.is_default);
  after.provider = place.provider;
  after.account_id = place.account_id;
  after.jurisdiction = place.jurisdiction;
  after.url = place.url;
  after.endpoint_url = place.endpoint_url;
  after.region = place.region;
  after.path_style = place.path_style;
  // Whoever names another place may not know the keys that are kept, which may open more than this one.
  const bool moves = !is_same_place(before, after);
  if (moves || !place.access_key.empty()) after.access_key = place.access_key;
  if (moves || !place.secret_key.empty()) after.secret_key = place.secret_key;
  return after;
}

/// What a change rests on.
bool is_unchanged(const model::Destination& now, const model::Destination& before) {
  return now.name == before.name && now.is_default == before.is_default && config_of(now) == config_of(before) &&
         core::equal_in_constant_time(now.access_key.reveal(), before.access_key.reveal()) &&
         core::equal_in_constant_time(now.secret_key.reveal(), before.secret_key.reveal());
}

std::string in_words(const std::vector<metadata::DestinationUser>& users) {
  std::string words;
  for (const auto& user : users) {
    words += fmt::format("{}the {} '{}'", words.empty() ? "" : ", ", user.kind, user.name);
  }
  return words;
}

/// The keys of a team's part of the operator's place are the operator's.
void require_no_part(metadata::Transaction& tx, const model::Destination& destination) {
  for (const auto& place : metadata::Destinations(tx).list(0)) {
    if (place.endpoint_url != destination.endpoint_url) continue;
    if (Admission::part_url(place.url, destination.team_id) != destination.url) continue;
    throw core::Error(core::Code::kForbidden, fmt::format("the destination '{}' is a part of the operator's '{}'",
                                                          destination.name, place.name))
        .with_hint("an administrator changes its config and secrets; its name may be changed");
  }
}

}  // namespace

CreatedDestination ServiceCommands::create_destination(const CreateDestinationRequest& request,
                                                       const Principal& principal) {
  if (request.team_id == 0) {
    require_admin(principal);
  } else {
    require_write(principal);
  }
  Refusals refusals;
  check_name(refusals, request.name);
  const bool is_known = request.team_id == 0 || deps_.database.read([&](auto& tx) {
    return metadata::Teams(tx).find(request.team_id).has_value();
  });
  if (!is_known || !principal.sees_team(request.team_id)) {
    refusals.add("/teamId", fmt::format("there is no team {} that this token may use", request.team_id));
  }
  refusals.raise();
  auto [destination, checks] = admission_.probe_new(request.team_id, request.config, request.secrets);
  destination.id = deps_.random.uuid();
  destination.team_id = request.team_id;
  destination.name = request.name;
  destination.is_default = request.is_default;
  destination.probe = probe_to_json(checks);
  destination.created_at = deps_.clock.now();
  destination.probed_at = destination.created_at;
  deps_.database.write([&](auto& tx) {
    if (metadata::Destinations(tx).find_place(request.team_id, destination.url, destination.endpoint_url)) {
      throw core::Error(core::Code::kAlreadyExists,
                        fmt::format("the destination '{}' is entered already", destination.url));
    }
    write_destination(tx, {destination, true, false}, request.team_id);
    take_effect(tx, principal, destination.id);
  });
  return {std::move(destination), std::move(checks)};
}

void ServiceCommands::write_destination(metadata::Transaction& tx, const NamedDestination& named,
                                        std::int64_t team_id) {
  if (named.is_new) {
    metadata::Destinations(tx).insert(named.destination);
    events_.record(tx, team_id, events::kDestinationCreated,
                   fmt::format("backups can go to '{}'", named.destination.url));
  } else if (named.is_changed) {
    metadata::Destinations(tx).update(named.destination);
  }
  // Whoever sends backups somewhere needs a key of their own; the operator (team 0) has none.
  auto team = team_id == 0 ? std::nullopt : metadata::Teams(tx).find(team_id);
  if (!team || !team->recovery_key.empty()) return;
  team->recovery_key = deps_.stores.make_recovery_key();
  metadata::Teams(tx).update(*team);
}

CreatedDestination ServiceCommands::update_destination(const std::string& id, const UpdateDestinationRequest& request,
                                                       const Principal& principal,
                                                       const Precondition<model::Destination>& precondition) {
  require_write(principal);
  const auto before = require_destination(id, principal);
  Refusals refusals;
  if (request.name) check_name(refusals, *request.name);
  refusals.raise();
  if ((request.config || request.secrets) && !principal.admin) {
    deps_.database.read([&](auto& tx) { require_no_part(tx, before); });
  }
  auto after = changed(before, request);
  std::vector<ProbeCheck> checks;
  if (request.config || request.secrets) {
    checks = admission_.probe_again(after);
    after.probe = probe_to_json(checks);
    after.probed_at = deps_.clock.now();
  }
  const bool moves = !is_same_place(before, after);
  if (moves) require_may_move(before, after);
  deps_.database.write([&](auto& tx) {
    metadata::Destinations destinations(tx);
    const auto now = destinations.require(id);
    require_precondition(precondition, now);
    if (now.lost_at) {
      throw core::Error(core::Code::kConflict, fmt::format("the destination '{}' was declared lost", now.name))
          .with_hint("enter the place anew, as another destination");
    }
    if (!is_unchanged(now, before)) {
      throw core::Error(core::Code::kConflict, fmt::format("the destination '{}' was changed meanwhile", before.name));
    }
    if (moves && destinations.users(id).empty()) destinations.forget_repository(id);
    destinations.update(after);
    // The parts stay where they are: keys of another place do not open them.
    if (after.team_id == 0 && !checks.empty() && !moves) update_parts(tx, before, after);
    events_.record(tx, after.team_id, events::kDestinationUpdated,
                   moves ? fmt::format("the destination '{}' is now '{}'", after.name, after.url)
                         : fmt::format("the destination '{}' was changed", after.name),
                   {{"destination.id", id}});
  });
  return {std::move(after), std::move(checks)};
}

/// What lies there is found again only in the same repository.
void ServiceCommands::require_may_move(const model::Destination& before, const model::Destination& after) {
  const auto [users, repository, other] = deps_.database.read([&](auto& tx) {
    metadata::Destinations destinations(tx);
    return std::tuple(destinations.users(before.id), destinations.repository_id(before.id),
                      destinations.find_place(before.team_id, after.url, after.endpoint_url));
  });
  if (other) {
    throw core::Error(core::Code::kAlreadyExists, fmt::format("the destination '{}' is entered already", other->url));
  }
  if (users.empty() || !repository || deps_.stores.holds_repository(after, *repository)) return;
  throw core::Error(core::Code::kConflict,
                    fmt::format("'{}' does not hold the repository '{}' of the destination '{}', which is needed by {}",
                                after.url, *repository, before.name, in_words(users)))
      .with_field("/config/destinationPath", "is another place, and backups lie in this one")
      .with_hint("enter the other place as a destination of its own, or move the repository there first");
}

/// The parts that teams have of the operator's place open it with its keys.
void ServiceCommands::update_parts(metadata::Transaction& tx, const model::Destination& before,
                                   const model::Destination& after) {
  metadata::Destinations destinations(tx);
  for (const auto& team : metadata::Teams(tx).list()) {
    auto part = destinations.find_place(team.id, Admission::part_url(before.url, team.id), before.endpoint_url);
    if (!part || !part->made_for_service) continue;
    part->region = after.region;
    part->path_style = after.path_style;
    part->access_key = after.access_key;
    part->secret_key = after.secret_key;
    destinations.update(*part);
  }
}

model::Destination ServiceCommands::require_destination(const std::string& id, const Principal& principal) {
  auto found = deps_.database.read([&](auto& tx) { return metadata::Destinations(tx).find(id); });
  // The operator's is seen by every team.
  if (found && found->team_id == 0) require_admin(principal);
  if (!found || !principal.sees_team(found->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no destination '{}'", id));
  }
  return std::move(*found);
}

Preview ServiceCommands::delete_destination(const std::string& id, const Principal& principal, Effect effect,
                                            const Precondition<model::Destination>& precondition) {
  require_delete(principal);
  const auto found = require_destination(id, principal);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  require_precondition(precondition, metadata::Destinations(tx).require(id));
  if (const auto users = metadata::Destinations(tx).users(id); !users.empty()) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("the destination '{}' is needed by {}", found.name, in_words(users)))
        .with_hint("send those backups elsewhere or delete them first");
  }
  metadata::Destinations(tx).remove(id);
  Preview preview{.effects = {fmt::format("the destination '{}' is removed; what is stored there stays", found.url)}};
  if (effect == Effect::kDryRun) return preview;
  events_.record(tx, found.team_id, events::kDestinationDeleted,
                 fmt::format("the destination '{}' was removed; what is stored there stays", found.url));
  tx.commit();
  return preview;
}

}  // namespace backstay::control
