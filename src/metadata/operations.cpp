#include "metadata/operations.h"

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/sealer.h"
#include "metadata/servers.h"

namespace backstay::metadata {
namespace {

using model::OperationState;

SealedPlace secrets_of(const std::string& id) { return {.table = "operations", .column = "sealed_secrets", .row = id}; }

model::Operation read_operation(const Row& row, Sealer& sealer) {
  model::Operation operation;
  operation.id = row.text("id");
  operation.kind = row.text("kind");
  operation.team_id = row.integer("team_id");
  operation.service_id = row.text("service_id");
  operation.lane = row.text("lane");
  operation.state = model::operation_state_from_text(row.text("state"));
  operation.step = row.text("step");
  operation.step_number = row.integer("step_number");
  operation.steps = row.integer("steps");
  operation.progress = row.object("progress");
  operation.attempts = row.integer("attempts");
  operation.request = row.object("request");
  operation.secrets = sealer.open_all(secrets_of(operation.id), row.text("sealed_secrets"));
  operation.result = row.object("result");
  operation.error = row.object("error");
  operation.cancel_requested = row.flag("cancel_requested");
  operation.not_before = row.time("not_before");
  operation.lease_owner = row.text("lease_owner");
  operation.lease_until = row.maybe_time("lease_until");
  operation.created_at = row.time("created_at");
  operation.started_at = row.maybe_time("started_at");
  operation.finished_at = row.maybe_time("finished_at");
  return operation;
}

/// Sets the state and what follows from it.
Values state_values(OperationState state) {
  return Values()
      .set("state", model::to_text(state))
      .set("is_open", !model::is_terminal(state))
      .set("lease_owner", "")
      .set("lease_until", std::optional<core::Timestamp>());
}

Values ended_values(OperationState state, core::Timestamp now) {
  return state_values(state).set("finished_at", now).set("sealed_secrets", "");
}

/// Changes a running operation whose lease is the owner's, and nothing else.
void update_leased(Transaction& tx, const std::string& id, const std::string& owner, const Values& values) {
  const auto changed =
      update(tx, "operations", values, "id = :the_id AND state = 'running' AND lease_owner = :the_owner",
             Values().set("the_id", id).set("the_owner", owner));
  if (changed > 0) return;
  const auto operation = Operations(tx).require(id);
  const std::string state(model::to_text(operation.state));
  throw core::Error(core::Code::kConflict, operation.state == OperationState::kRunning
                                               ? "operation '" + id + "' is leased by another worker"
                                               : "operation '" + id + "' is " + state + ", not running");
}

constexpr auto kDue = "(state = 'queued' AND not_before <= :now OR state = 'running' AND lease_until < :now)";

/// An operation waits for every earlier open one of its lane.
constexpr auto kLaneFree =
    "(lane = '' OR NOT EXISTS (SELECT 1 FROM operations AS other WHERE other.is_open = 1 AND other.lane = "
    "candidate.lane "
    "AND other.id <> candidate.id AND (other.state = 'running' OR other.sequence < candidate.sequence)))";

/// Only a service's driver works on it.
constexpr auto kDriven =
    "NOT EXISTS (SELECT 1 FROM services AS driven WHERE driven.id = candidate.service_id AND driven.driver <> :server)";

std::optional<std::string> find_candidate(Transaction& tx, const ClaimRequest& request) {
  Conditions conditions;
  conditions.add("is_open = 1");
  conditions.add(kDue);
  conditions.add(kLaneFree);
  conditions.add(kDriven);
  if (!request.kinds.empty()) conditions.add_in("kind", request.kinds);
  if (!request.lane.empty()) {
    conditions.add("candidate.lane = :lane");
    conditions.values().set("lane", request.lane);
  }
  conditions.values().set("now", request.now).set("server", request.server);
  return Query(tx, "SELECT id FROM operations AS candidate" + conditions.where() + " ORDER BY sequence LIMIT 1")
      .bind(conditions.values())
      .first<std::string>([](const Row& row) { return row.text("id"); });
}

Conditions conditions_of(const OperationFilter& filter) {
  Conditions conditions;
  if (!filter.service_id.empty()) {
    conditions.add("service_id = :service_id");
    conditions.values().set("service_id", filter.service_id);
  }
  if (filter.team_ids) conditions.add_in("team_id", *filter.team_ids);
  if (filter.state) {
    conditions.add("state = :state");
    conditions.values().set("state", model::to_text(*filter.state));
  }
  if (filter.open_only) conditions.add("is_open = 1");
  if (!filter.kind.empty()) {
    conditions.add("kind = :kind");
    conditions.values().set("kind", filter.kind);
  }
  if (!filter.after_id.empty()) {
    conditions.add("sequence < (SELECT sequence FROM operations WHERE id = :after_id)");
    conditions.values().set("after_id", filter.after_id);
  }
  return conditions;
}

}  // namespace

void Operations::enqueue(const model::Operation& operation) {
  auto values = state_values(OperationState::kQueued);
  values.set("sequence", next_number(tx_, "operations"))
      .set("id", operation.id)
      .set("kind", operation.kind)
      .set("team_id", operation.team_id)
      .set("service_id", operation.service_id)
      .set("lane", operation.lane)
      .set("step", operation.step)
      .set("step_number", operation.step_number)
      .set("steps", operation.steps)
      .set("progress", operation.progress)
      .set("attempts", operation.attempts)
      .set("request", operation.request)
      .set("sealed_secrets", tx_.sealer().seal(secrets_of(operation.id), operation.secrets))
      .set("result", operation.result)
      .set("error", operation.error)
      .set("cancel_requested", operation.cancel_requested)
      .set("not_before", operation.not_before)
      .set("created_at", operation.created_at)
      .set("started_at", operation.started_at)
      .set("finished_at", operation.finished_at);
  insert(tx_, "operations", values);
}

std::optional<model::Operation> Operations::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM operations WHERE id = :id")
      .bind(Values().set("id", id))
      .first<model::Operation>([&](const Row& row) { return read_operation(row, tx_.sealer()); });
}

model::Operation Operations::require(const std::string& id) {
  auto found = find(id);
  if (!found) throw core::Error(core::Code::kNotFound, "operation '" + id + "' does not exist");
  return std::move(*found);
}

std::vector<model::Operation> Operations::list(const OperationFilter& filter) {
  auto conditions = conditions_of(filter);
  return Query(tx_,
               "SELECT * FROM operations" + conditions.where() + " ORDER BY sequence DESC" + limit_clause(filter.limit))
      .bind(conditions.values())
      .list<model::Operation>([&](const Row& row) { return read_operation(row, tx_.sealer()); });
}

std::optional<model::Operation> Operations::claim(const ClaimRequest& request) {
  Servers servers(tx_);
  if (!servers.is_member(request.server)) return std::nullopt;
  const auto candidate = [&] { return find_candidate(tx_, request); };
  auto id = candidate();
  if (!id && servers.take_services(request.server) > 0) id = candidate();
  if (!id) return std::nullopt;
  Query(tx_, std::string("UPDATE operations SET state = 'running', attempts = attempts + 1, lease_owner = :owner, "
                         "lease_until = :until, started_at = COALESCE(started_at, :now) WHERE id = :id AND ") +
                 kDue)
      .bind(Values()
                .set("owner", lease_owner(request.server))
                .set("until", request.now + request.lease)
                .set("now", request.now)
                .set("id", *id))
      .run();
  return find(*id);
}

bool Operations::heartbeat(const std::string& id, const std::string& owner, core::Timestamp lease_until) {
  update_leased(tx_, id, owner, Values().set("lease_until", lease_until));
  return require(id).cancel_requested;
}

void Operations::update_progress(const std::string& id, const std::string& owner, const std::string& step,
                                 std::int64_t step_number, std::int64_t steps, const core::json::object& progress) {
  update_leased(
      tx_, id, owner,
      Values().set("step", step).set("step_number", step_number).set("steps", steps).set("progress", progress));
}

void Operations::finish(const std::string& id, const std::string& owner, OperationState state,
                        const core::json::object& result, const core::json::object& error, core::Timestamp now) {
  if (!model::is_terminal(state)) {
    throw core::Error(core::Code::kInternal,
                      "operation '" + id + "' cannot finish as " + std::string(model::to_text(state)));
  }
  update_leased(tx_, id, owner, ended_values(state, now).set("result", result).set("error", error));
}

void Operations::requeue(const std::string& id, const std::string& owner, core::Timestamp not_before,
                         const core::json::object& error) {
  update_leased(tx_, id, owner,
                state_values(OperationState::kQueued).set("not_before", not_before).set("error", error));
}

void Operations::change_request(const std::string& id, const core::json::object& request, core::Timestamp now) {
  const auto changed = update(tx_, "operations", Values().set("request", request).set("not_before", now),
                              "id = :the_id AND is_open = 1", Values().set("the_id", id));
  if (changed == 0) throw core::Error(core::Code::kConflict, "operation '" + id + "' has ended");
}

OperationState Operations::request_cancel(const std::string& id, core::Timestamp now) {
  const auto operation = require(id);
  const auto bound = Values().set("the_id", id);
  switch (operation.state) {
    case OperationState::kQueued:
      update(tx_, "operations", ended_values(OperationState::kCancelled, now).set("cancel_requested", true),
             "id = :the_id AND state = 'queued'", bound);
      return OperationState::kCancelled;
    case OperationState::kRunning:
      update(tx_, "operations", Values().set("cancel_requested", true), "id = :the_id AND state = 'running'", bound);
      return OperationState::kRunning;
    default:
      throw core::Error(core::Code::kConflict,
                        "operation '" + id + "' is " + std::string(model::to_text(operation.state)) + " already");
  }
}

bool Operations::is_leased(const std::string& id, const std::string& owner) {
  const auto operation = find(id);
  return operation && operation->state == OperationState::kRunning && operation->lease_owner == owner;
}

std::vector<std::string> Operations::list_to_cancel(const std::string& owner) {
  return Query(tx_,
               "SELECT id FROM operations WHERE is_open = 1 AND state = 'running' AND cancel_requested = 1 AND "
               "lease_owner = :owner")
      .bind(Values().set("owner", owner))
      .list<std::string>([](const Row& row) { return row.text("id"); });
}

std::size_t Operations::requeue_abandoned(const std::string& owner, core::Timestamp now) {
  return update(tx_, "operations", state_values(OperationState::kQueued).set("not_before", now),
                "is_open = 1 AND state = 'running' AND lease_owner = :the_owner", Values().set("the_owner", owner));
}

std::size_t Operations::prune(core::Timestamp finished_before) {
  return Query(tx_, "DELETE FROM operations WHERE is_open = 0 AND finished_at < :before")
      .bind(Values().set("before", finished_before))
      .run();
}

}  // namespace backstay::metadata
