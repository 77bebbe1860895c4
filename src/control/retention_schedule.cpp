#include "control/retention_schedule.h"

#include <algorithm>

#include "metadata/destinations.h"
#include "metadata/operations.h"
#include "metadata/retention_turns.h"
#include "metadata/services.h"
#include "model/schedule.h"

namespace backstay::control {
namespace {

/// At once, so that a tick stays short and a server that comes back does not do a day's work in one go.
constexpr std::size_t kAtOnce = 20;

/// One that waits, for its turn or for its next attempt, will see everything as it is by then.
bool is_waiting(metadata::Transaction& tx, std::string_view kind, const std::string& service_id,
                const std::string& lane) {
  metadata::OperationFilter filter;
  filter.service_id = service_id;
  filter.kind = kind;
  filter.state = model::OperationState::kQueued;
  return std::ranges::any_of(metadata::Operations(tx).list(filter),
                             [&](const auto& operation) { return operation.lane == lane; });
}

}  // namespace

void hurry_retention(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now) {
  metadata::RetentionTurns(tx).set_service(service_id, now);
}

void RetentionSchedule::tick() {
  const auto now = clock_.now();
  const bool any = database_.read([&](auto& tx) {
    metadata::RetentionTurns turns(tx);
    return !turns.services(server_, now, 1).empty() || !turns.destinations(now, 1).empty();
  });
  if (!any) return;
  database_.write([&](auto& tx) {
    metadata::RetentionTurns turns(tx);
    for (const auto& id : turns.services(server_, now, kAtOnce)) enter_service(tx, id, now);
    for (const auto& id : turns.destinations(now, kAtOnce)) enter_destination(tx, id, now);
  });
  queue_.ring();
}

void RetentionSchedule::enter_service(metadata::Transaction& tx, const std::string& id, core::Timestamp now) {
  metadata::RetentionTurns(tx).set_service(id, now + kRetentionEvery);
  // A lane of its own: a slow store does not hold up what its owner wants of the service.
  const auto lane = "retention/" + id;
  if (is_waiting(tx, kinds::kRetention, id, lane)) return;
  const auto service = metadata::Services(tx).require(id);
  queue_.enqueue(tx, {.kind = std::string(kinds::kRetention),
                      .team_id = service.team_id,
                      .service_id = id,
                      .lane = lane,
                      .request = {},
                      .secrets = {},
                      .not_before = {}});
}

/// The first turn only gives each its own time of the day.
void RetentionSchedule::enter_destination(metadata::Transaction& tx, const std::string& id, core::Timestamp now) {
  metadata::RetentionTurns turns(tx);
  if (!turns.destination_had_turn(id)) {
    turns.set_destination(id, now + model::spread(id, kRetentionEvery));
    return;
  }
  turns.set_destination(id, now + kRetentionEvery);
  const auto lane = "prune/" + id;
  if (is_waiting(tx, kinds::kPrune, "", lane)) return;
  queue_.enqueue(tx, {.kind = std::string(kinds::kPrune),
                      .team_id = metadata::Destinations(tx).require(id).team_id,
                      .service_id = {},
                      .lane = lane,
                      .request = {{"destinationId", id}},
                      .secrets = {},
                      .not_before = {}});
}

}  // namespace backstay::control
