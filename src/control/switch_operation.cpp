#include "control/switch_operation.h"

#include <algorithm>
#include <map>
#include <utility>

#include "control/backup_schedule.h"
#include "control/body_loader.h"
#include "control/former_instances.h"
#include "control/operation_work.h"
#include "control/retention_schedule.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/retention_turns.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

using core::Code;
using core::Error;
using model::InstanceState;

constexpr auto kPort = "port";
/// In the result of a run that came by exchange(): no process before it can have begun to start the new server.
constexpr auto kFormerId = "formerInstanceId";

/// The service with the instance that is to go and with the one that is to come, as they are now.
struct Sides {
  ServiceBody from{};
  ServiceBody to{};
  std::optional<std::string> candidate_id{};
  [[nodiscard]] bool exchanged() const { return from.service.status.instance_id == to.instance.id; }
};

std::string target_of(const model::Operation& operation) {
  return core::require_string(operation.request, "toInstanceId", "/request");
}

std::optional<std::string> candidate_of(const model::Operation& operation) {
  return core::find_string(operation.request, "candidateId");
}

Sides sides_of(const WorkDependencies& deps, const model::Operation& operation) {
  return deps.database.read([&](auto& tx) {
    const auto service = metadata::Services(tx).require(operation.service_id);
    return Sides{load_body(tx, service, instance_of(operation)), load_body(tx, service, target_of(operation)),
                 candidate_of(operation)};
  });
}

void write_state(metadata::Transaction& tx, const std::string& instance_id, InstanceState state) {
  auto instance = metadata::Instances(tx).require(instance_id);
  instance.state = state;
  metadata::Instances(tx).update(instance);
}

std::vector<model::Operation> open_operations(metadata::Transaction& tx, const std::string& service_id) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.open_only = true;
  return metadata::Operations(tx).list(open);
}

/// Cancels it if it is queued, asks it to end if it runs.
void cancel(const NoteDependencies& notes, metadata::Transaction& tx, const model::Operation& operation) {
  const auto state = metadata::Operations(tx).request_cancel(operation.id, notes.clock.now());
  if (state == model::OperationState::kCancelled) note_cancelled(notes, tx, operation);
}

/// What works on an instance that is to take another one's place, and must not.
bool is_in_the_way(const model::Operation& operation, const std::string& target) {
  if (operation.kind == kinds::kFormer) return operation.lane == former_lane(target);
  return operation.kind == kinds::kBackup || operation.kind == kinds::kRestart;
}

/// Besides, of a candidate: whether its backups work matters to nobody any more, and may take hours to see.
bool is_to_end(const model::Operation& operation, const std::string& target) {
  return is_in_the_way(operation, target) || operation.kind == kinds::kVerify;
}

/// Of the candidate everything, of the service what is in the way and not its own lane's matter.
std::vector<model::Operation> obstacles(metadata::Transaction& tx, const model::Operation& operation) {
  std::vector<model::Operation> found;
  for (auto& open : open_operations(tx, operation.service_id)) {
    const bool own_lane = open.lane == operation.lane;
    if (!own_lane && is_in_the_way(open, target_of(operation))) found.push_back(std::move(open));
  }
  if (const auto candidate = candidate_of(operation)) {
    for (auto& open : open_operations(tx, *candidate)) {
      if (open.kind != kinds::kRetention) found.push_back(std::move(open));
    }
  }
  return found;
}

/// What can be cancelled is; what still runs is waited for.
void clear_the_way(const WorkDependencies& deps, const model::Operation& operation) {
  const auto found = deps.database.write([&](auto& tx) {
    auto open = obstacles(tx, operation);
    for (const auto& obstacle : open) {
      if (is_to_end(obstacle, target_of(operation))) cancel({deps.events, deps.clock}, tx, obstacle);
    }
    return open;
  });
  for (const auto& obstacle : found) deps.operations.cancel(obstacle.id);
  const auto left = deps.database.read([&](auto& tx) { return obstacles(tx, operation); });
  if (left.empty()) return;
  throw Error(Code::kNotYet, fmt::format("the operation '{}' still works on it", left.front().kind));
}

void require_wanted(const Sides& sides) {
  if (!sides.from.service.delete_requested_at) return;
  throw Error(Code::kConflict, fmt::format("the service '{}' is being deleted", sides.from.service.name));
}

void prepare(const WorkDependencies& deps, StepContext& context) {
  const auto sides = sides_of(deps, context.operation());
  require_wanted(sides);
  auto& provider = provider_of(deps, sides.to);
  // Nobody reaches it there: it still has a port of its own.
  provider.apply(sides.to, context);
  provider.checkpoint(sides.to, context);
  provider.checkpoint(sides.from, context);
}

void fence(const WorkDependencies& deps, StepContext& context) {
  deps.database.write([&](auto& tx) {
    write_state(tx, instance_of(context.operation()), InstanceState::kStopped);
    write_state(tx, target_of(context.operation()), InstanceState::kStopped);
  });
  // A restart that began before would start what is fenced; one that begins now finds that it is stopped.
  clear_the_way(deps, context.operation());
  const auto sides = sides_of(deps, context.operation());
  auto& provider = provider_of(deps, sides.to);
  provider.fence(sides.to, context);
  provider.checkpoint(sides.from, context);
  provider.fence(sides.from, context);
}

void exchange_ports(metadata::Transaction& tx, model::Instance& one, model::Instance& other) {
  std::swap(one.port, other.port);
  metadata::Allocations(tx).exchange(kPort, one.id, other.id);
}

void exchange(const WorkDependencies& deps, StepContext& context) {
  const auto& operation = context.operation();
  deps.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(operation.service_id);
    auto from = metadata::Instances(tx).require(instance_of(operation));
    auto to = metadata::Instances(tx).require(target_of(operation));
    if (service.status.instance_id == to.id) return;
    if (from.state != InstanceState::kStopped || to.state != InstanceState::kStopped) {
      // A run before this one took it back and could not say so.
      throw Error(Code::kRecoveryFailed, "the switch-over was taken back");
    }
    const auto now = deps.clock.now();
    from.served_until = now;
    from.kept_until = now + deps.rollback_grace;
    from.unsent = service.backups.enabled && !from.destination_id.empty();
    // The time of a candidate is not the service's.
    const bool served_it = to.service_id == service.id;
    if (served_it && to.served_from && to.served_until) to.served_before.push_back({*to.served_from, *to.served_until});
    to.served_from = now;
    to.served_until.reset();
    to.unsent = from.unsent;
    exchange_ports(tx, from, to);
    metadata::Instances(tx).update(from);
    metadata::Instances(tx).update(to);
    if (const auto candidate = candidate_of(operation)) {
      metadata::Instances(tx).move(to.id, service.id);
      metadata::Backups(tx).move(*candidate, to.id, service.id);
    }
    service.status.instance_id = to.id;
    metadata::Services(tx).update_status(service.id, service.status, now);
  });
  context.result()[kFormerId] = instance_of(operation);
}

/// Its record tells for a while what became of it.
void end_candidate(const WorkDependencies& deps, metadata::Transaction& tx, const std::string& id,
                   const model::Service& successor) {
  auto candidate = metadata::Services(tx).require(id);
  const auto now = deps.clock.now();
  deps.events.record(tx, candidate, events::kServiceSuperseded,
                     fmt::format("the data is that of the service '{}' from now on", successor.name),
                     {{"service.id", successor.id}});
  candidate.secrets.clear();
  candidate.backups.enabled = false;
  candidate.backups.secrets.clear();
  candidate.delete_requested_at = candidate.deleted_at = candidate.updated_at = now;
  candidate.expires_at = now + deps.rollback_grace;
  ++candidate.generation;
  metadata::Services(tx).update_desired(candidate);
  candidate.status.state = model::ServiceState::kDeleted;
  candidate.status.instance_id.clear();
  candidate.status.details.clear();
  candidate.status.reason =
      fmt::format("its data is that of the service '{}' since {}", successor.name, core::format_time(now));
  candidate.status.next_step = "use that service; it can be switched back for a while";
  metadata::Services(tx).update_status(id, candidate.status, now);
  metadata::RetentionTurns(tx).set_service(id, *candidate.expires_at);
}

/// Without one of its own that is confirmed nothing after the switch can be recovered.
void ensure_backup(const WorkDependencies& deps, metadata::Transaction& tx, const model::Service& service) {
  if (!service.backups.enabled) return;
  if (has_confirmed_base(tx, service.id, service.status.instance_id) || has_open_backup(tx, service.id)) return;
  schedule_backup({deps.operations, deps.events, deps.clock, deps.random}, tx, service,
                  {.origin = model::BackupOrigin::kSafety});
}

std::string switched_body(const model::Instance& former, bool back) {
  return fmt::format(
      "the service goes on with the data of {}; what it had before is kept until {} and can be "
      "switched back to",
      back ? "an instance that it had before" : "its candidate",
      core::format_time(former.kept_until.value_or(core::Timestamp{})));
}

/// In the transaction that lets everybody know.
void note_switched(const WorkDependencies& deps, metadata::Transaction& tx, const Sides& sides) {
  auto to = metadata::Instances(tx).require(sides.to.instance.id);
  to.state = InstanceState::kServing;
  to.kept_until.reset();
  to.unsent = false;
  if (sides.to.service.backups.enabled) to.destination_id = sides.to.service.backups.destination_id;
  metadata::Instances(tx).update(to);
  auto body = sides.to;
  body.instance = to;
  mark_synchronized(deps, tx, body);
  const auto service = metadata::Services(tx).require(body.service.id);
  const auto former = metadata::Instances(tx).require(sides.from.instance.id);
  std::map<std::string, std::string> attributes{{"instance.id", to.id}};
  if (sides.candidate_id) attributes["candidate.id"] = *sides.candidate_id;
  deps.events.record(tx, service, sides.candidate_id ? events::kServiceSwitched : events::kServiceSwitchedBack,
                     switched_body(former, !sides.candidate_id), attributes);
  if (sides.candidate_id) end_candidate(deps, tx, *sides.candidate_id, service);
  ensure_backup(deps, tx, service);
  enter_former(tx, deps.operations, service, former.id);
  hurry_retention(tx, service.id, deps.clock.now());
}

/// The new server may have served: what was written to it must not be taken back.
Error only_forward(const Error& error) {
  return Error(Code::kNotYet, fmt::format("the other data may have been written to already, so the switch-over is only "
                                          "carried on: {}",
                                          error.message()))
      .with_hint(error.hint());
}

void let_clients_in(const WorkDependencies& deps, StepContext& context, const Sides& sides) {
  auto& provider = provider_of(deps, sides.to);
  const bool began_before = !context.result().contains(kFormerId);
  try {
    provider.start(sides.to, context);
  } catch (const Error& error) {
    const auto liveness = began_before ? Liveness::kRunning : provider.observe(sides.to, false).liveness;
    if (liveness == Liveness::kRunning || liveness == Liveness::kUnreachable) throw only_forward(error);
    throw;
  }
}

void start(const WorkDependencies& deps, StepContext& context) {
  const auto sides = sides_of(deps, context.operation());
  // A process before this one took it back and could not say so.
  if (!sides.exchanged()) throw Error(Code::kRecoveryFailed, "the switch-over was taken back");
  if (sides.to.instance.state != InstanceState::kServing) {
    let_clients_in(deps, context, sides);
    try {
      deps.readmit_companions(sides.to.instance.id);
      deps.database.write([&](auto& tx) { note_switched(deps, tx, sides); });
    } catch (const Error& error) {
      throw only_forward(error);
    }
    deps.operations.ring();
  }
  context.result()["serviceId"] = sides.to.service.id;
  context.result()["instanceId"] = sides.to.instance.id;
  context.result()[kFormerId] = sides.from.instance.id;
}

/// The state as it was before exchange().
void exchange_back(metadata::Transaction& tx, const model::Operation& operation, core::Timestamp now) {
  auto service = metadata::Services(tx).require(operation.service_id);
  auto from = metadata::Instances(tx).require(instance_of(operation));
  auto to = metadata::Instances(tx).require(target_of(operation));
  if (service.status.instance_id != to.id) return;
  from.served_until.reset();
  from.kept_until.reset();
  from.unsent = false;
  exchange_ports(tx, from, to);
  if (const auto candidate = candidate_of(operation)) {
    to.unsent = false;
    // It has served its own service since it was made, and only that one.
    to.served_from = to.created_at;
    metadata::Instances(tx).move(to.id, *candidate);
    metadata::Backups(tx).move_taken(service.id, to.id, *candidate);
  } else if (!to.served_before.empty()) {
    to.served_from = to.served_before.back().from;
    to.served_until = to.served_before.back().until;
    to.served_before.pop_back();
  }
  metadata::Instances(tx).update(from);
  metadata::Instances(tx).update(to);
  service.status.instance_id = from.id;
  metadata::Services(tx).update_status(service.id, service.status, now);
}

void take_back(const WorkDependencies& deps, StepContext& context) {
  const auto& operation = context.operation();
  auto sides = sides_of(deps, operation);
  auto& provider = provider_of(deps, sides.to);
  // It may have started after all, on the port that the old one needs.
  if (sides.exchanged()) provider.fence(sides.to, context);
  deps.database.write([&](auto& tx) {
    exchange_back(tx, operation, deps.clock.now());
    write_state(tx, instance_of(operation), InstanceState::kServing);
    write_state(tx, target_of(operation), sides.candidate_id ? InstanceState::kServing : InstanceState::kStopped);
  });
  sides = sides_of(deps, operation);
  provider.start(sides.from, context);
  if (!sides.candidate_id) {
    provider.fence(sides.to, context);
    return;
  }
  provider.start(deps.database.read([&](auto& tx) {
    return load_body(tx, metadata::Services(tx).require(*sides.candidate_id), sides.to.instance.id);
  }),
                 context);
}

void let_serve(metadata::Transaction& tx, const std::string& instance_id) {
  auto instance = metadata::Instances(tx).require(instance_id);
  if (instance.state != InstanceState::kStopped) return;
  instance.state = InstanceState::kServing;
  metadata::Instances(tx).update(instance);
}

/// The reconciler looks at once, and says how it is.
void note_failed(const WorkDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                 const Error& error) {
  auto service = metadata::Services(tx).require(operation.service_id);
  // Also where taking it back broke off: the reconciler cares for what serves.
  exchange_back(tx, operation, deps.clock.now());
  let_serve(tx, instance_of(operation));
  if (candidate_of(operation)) let_serve(tx, target_of(operation));
  service = metadata::Services(tx).require(operation.service_id);
  const auto reason =
      fmt::format("the switch-over failed: {}; it was taken back, and the data is as it was", error.message());
  if (service.status.state == model::ServiceState::kUpdating) {
    service.status.state = model::ServiceState::kUnknown;
    service.status.reason = reason;
    service.status.next_step = "the server is looked at now; switch again when the cause is mended";
  }
  service.status.last_error = reason;
  metadata::Services(tx).update_status(service.id, service.status, deps.clock.now());
  std::map<std::string, std::string> attributes{{"operation.id", operation.id}, {"instance.id", target_of(operation)}};
  if (const auto id = candidate_of(operation)) {
    attributes["candidate.id"] = *id;
    const auto candidate = metadata::Services(tx).require(*id);
    metadata::Services(tx).update_status(*id, candidate.status, deps.clock.now());  // looked at soon, too
  }
  deps.events.record(tx, service, events::kServiceSwitchFailed, fmt::format("{}; {}", reason, error.hint()),
                     attributes);
}

}  // namespace

OperationKind switch_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.steps = {{"wait", [deps](StepContext& context) { clear_the_way(deps, context.operation()); }},
                {"prepare", [deps](StepContext& context) { prepare(deps, context); }},
                {"fence", [deps](StepContext& context) { fence(deps, context); }},
                {"exchange", [deps](StepContext& context) { exchange(deps, context); }},
                {"start", [deps](StepContext& context) { start(deps, context); }}};
  // While it is tried again nobody serves: what does not go at once is taken back.
  kind.max_failures = 1;
  kind.undo = [deps](StepContext& context) { take_back(deps, context); };
  kind.on_waiting = [deps](auto& tx, const auto& operation, const Error& error) {
    note_waiting(deps, tx, operation, error);
  };
  kind.on_failed = [deps](auto& tx, const auto& operation, const Error& error) {
    note_failed(deps, tx, operation, error);
  };
  return kind;
}

EnteredSwitch enter_switch(const SwitchDependencies& deps, metadata::Transaction& tx, model::Service& service,
                           const SwitchPlan& plan) {
  EnteredSwitch entered;
  const NoteDependencies notes{deps.events, deps.clock};
  std::vector<std::string> services{service.id};
  if (plan.candidate) services.push_back(plan.candidate->id);
  for (const auto& id : services) {
    for (const auto& operation : open_operations(tx, id)) {
      const bool of_candidate = id != service.id;
      if (operation.kind != kinds::kBackup && !(of_candidate && operation.kind == kinds::kVerify)) continue;
      cancel(notes, tx, operation);
      entered.cancelled.push_back(operation.id);
    }
  }
  service.status.state = model::ServiceState::kUpdating;
  metadata::Services(tx).update_status(service.id, service.status, deps.clock.now());
  std::map<std::string, std::string> attributes{{"instance.id", plan.to.id}};
  if (plan.candidate) attributes["candidate.id"] = plan.candidate->id;
  deps.events.record(tx, service, events::kServiceSwitching,
                     plan.candidate ? fmt::format("the candidate '{}' takes its place", plan.candidate->name)
                                    : std::string("an instance that served before takes the place again"),
                     attributes);
  NewOperation work;
  work.kind = kinds::kSwitch;
  work.team_id = service.team_id;
  work.service_id = service.id;
  work.request = switch_request(plan);
  entered.operation = deps.queue.enqueue(tx, work);
  return entered;
}

std::optional<std::string> switch_to_recovered(const WorkDependencies& deps, StepContext& context) {
  const auto& candidate_id = context.operation().service_id;
  EnteredSwitch entered;
  std::optional<model::Service> original;
  try {
    deps.database.write([&](auto& tx) {
      const auto candidate = metadata::Services(tx).require(candidate_id);
      original = metadata::Services(tx).find(candidate.candidate_of);
      if (!original) return;
      metadata::OperationFilter earlier;
      earlier.service_id = original->id;
      earlier.kind = kinds::kSwitch;
      for (auto& operation : metadata::Operations(tx).list(earlier)) {
        if (candidate_of(operation) != candidate_id) continue;
        entered.operation = std::move(operation);
        return;
      }
      auto service = *original;
      const auto plan = plan_switch(tx, service, {.candidate_id = candidate_id}, deps.clock.now());
      entered = enter_switch({deps.operations, deps.events, deps.clock}, tx, service, plan);
    });
  } catch (const Error& error) {
    if (error.code() != Code::kConflict || !original) throw;
    deps.database.write([&](auto& tx) {
      deps.events.record(tx, *original, events::kServiceSwitchFailed,
                         fmt::format("what was recovered could not take its place: {}; it stays a candidate: switch to "
                                     "it, or delete it",
                                     error.message()),
                         {{"candidate.id", candidate_id}, {"operation.id", context.operation().id}});
    });
    return std::nullopt;
  }
  for (const auto& cancelled : entered.cancelled) deps.operations.cancel(cancelled);
  deps.operations.ring();
  if (entered.operation.id.empty()) return std::nullopt;
  return entered.operation.id;
}

}  // namespace backstay::control
