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
bool is_waiting(metadata::Transaction& tx, const std::string& service_id) {
  metadata::OperationFilter filter;
  filter.service_id = service_id;
  filter.kind = kinds::kRetention;
  filter.state = model::OperationState::kQueued;
  return !metadata::Operations(tx).list(filter).empty();
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
  if (is_waiting(tx, id)) return;
  const auto service = metadata::Services(tx).require(id);
  // A lane of its own: a slow store does not hold up what its owner wants of the service.
  queue_.enqueue(tx, {.kind = std::string(kinds::kRetention),
                      .team_id = service.team_id,
                      .service_id = id,
                      .lane = "retention/" + id,
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
  queue_.enqueue(tx, {.kind = std::string(kinds::kPrune),
                      .team_id = metadata::Destinations(tx).require(id).team_id,
                      .service_id = {},
                      .lane = "prune/" + id,
                      .request = {{"destinationId", id}},
                      .secrets = {},
                      .not_before = {}});
}

}  // namespace backstay::control
