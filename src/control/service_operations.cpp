#include "control/service_operations.h"

#include "control/body_loader.h"
#include "control/former_instances.h"
#include "control/operation_queue.h"
#include "control/operation_work.h"
#include "control/switch_operation.h"
#include "control/switch_plan.h"
#include "core/log.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/services.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

void write_status(core::Clock& clock, metadata::Transaction& tx, const model::Service& service) {
  metadata::Services(tx).update_status(service.id, service.status, clock.now());
}

constexpr int kPortAttempts = 10;

/// Runs what ends with the start of a server. As long as no client knows its port, another program that has taken it
/// meanwhile is made way for.
void with_free_port(const WorkDependencies& deps, const model::Operation& operation,
                    const std::function<void(const ServiceBody&)>& work) {
  for (int attempt = 1;; ++attempt) {
    const auto body = body_of(deps, operation);
    const auto& provider = provider_of(deps, body);
    try {
      work(body);
      return;
    } catch (const core::Error&) {
      if (body.instance.served_from || attempt == kPortAttempts || !provider.port_taken(body)) throw;
    }
    deps.database.write([&](auto& tx) { move_port(tx, {deps.ports, provider, deps.random}, body.instance.id); });
  }
}

/// The last step of create and recover: from here on clients may come.
void serve(const WorkDependencies& deps, StepContext& context, std::string_view how) {
  auto body = body_of(deps, context.operation());
  deps.database.write([&](auto& tx) {
    body.instance.state = model::InstanceState::kServing;
    body.instance.served_from = deps.clock.now();
    metadata::Instances(tx).update(body.instance);
    mark_synchronized(deps, tx, body);
    deps.events.record(tx, body.service, events::kServiceSynchronized, fmt::format("the service {}", how));
  });
  context.result()["serviceId"] = body.service.id;
}

void pause(const WorkDependencies& deps, StepContext& context, const ServiceBody& body) {
  const bool stored = provider_of(deps, body).pause(body, context);
  deps.database.write([&](auto& tx) {
    mark_synchronized(deps, tx, body);
    if (stored) {
      deps.events.record(tx, body.service, events::kServicePaused,
                         "the service is paused; its data is kept, resume it when it is wanted");
    } else {
      deps.events.record(
          tx, body.service, events::kServicePausedUnarchived,
          "the service is paused, but the store did not take its last writes: until it is resumed they are "
          "on this machine only; check the store and its network");
    }
  });
}

/// The archive goes where the service's backups go now. Here and not with the command, so that work before this one
/// keeps its destination.
void follow_destination(const WorkDependencies& deps, const model::Operation& operation) {
  deps.database.write([&](auto& tx) {
    const auto service = metadata::Services(tx).require(operation.service_id);
    auto instance = metadata::Instances(tx).require(instance_of(operation));
    if (!service.backups.enabled || instance.destination_id == service.backups.destination_id) return;
    instance.destination_id = service.backups.destination_id;
    metadata::Instances(tx).update(instance);
  });
}

/// What was recovered has taken its original's place, or is about to: it is the switch-over's, whatever becomes of the
/// recovery.
bool is_handed_on(metadata::Transaction& tx, const model::Operation& operation) {
  const auto service = metadata::Services(tx).find(operation.service_id);
  const auto instance = metadata::Instances(tx).find(instance_of(operation));
  return service && instance && (instance->service_id != service->id || open_switch(tx, *service));
}

/// The service stays listed with its reason; what was made of it is gone.
void mark_not_made(const NoteDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                   EventKind kind, const std::string& reason, const std::string& next_step) {
  if (is_handed_on(tx, operation)) return;
  auto service = metadata::Services(tx).require(operation.service_id);
  service.status.reason = reason;
  service.status.last_error = reason;
  service.status.next_step = next_step;
  write_status(deps.clock, tx, service);
  auto instance = metadata::Instances(tx).require(instance_of(operation));
  instance.state = model::InstanceState::kFailed;
  metadata::Instances(tx).update(instance);
  deps.events.record(tx, service, kind, fmt::format("{}; {}", reason, next_step), {{"operation.id", operation.id}});
}

/// A restart that nobody needs any more.
bool is_over(const ServiceBody& body) {
  return body.service.delete_requested_at || body.service.pause ||
         body.instance.state != model::InstanceState::kServing;
}

/// Else the reconciler saw the server dead.
bool was_asked_for(const model::Operation& operation) { return operation.request.contains("fence"); }

void stop_if_asked(const WorkDependencies& deps, StepContext& context) {
  if (!was_asked_for(context.operation())) return;
  const auto body = body_of(deps, context.operation());
  if (is_over(body)) return;
  auto& provider = provider_of(deps, body);
  provider.checkpoint(body, context);
  provider.fence(body, context);
}

void mark_restarted(const WorkDependencies& deps, const ServiceBody& body) {
  deps.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(body.service.id);
    // Of a change that waits, its own operation tells.
    if (service.status.observed_generation == service.generation) mark_synchronized(deps, tx, body);
  });
}

/// `meaning`: for the data.
OperationKind making_kind(const WorkDependencies& deps, EventKind failure, const std::string& what,
                          const std::string& meaning) {
  OperationKind kind;
  kind.undo = [deps](StepContext& context) {
    if (deps.database.read([&](auto& tx) { return is_handed_on(tx, context.operation()); })) return;
    destroy_instance(deps, context);
  };
  kind.on_failed = [deps, failure, what, meaning](auto& tx, const auto& operation, const core::Error& error) {
    mark_not_made({deps.events, deps.clock}, tx, operation, failure,
                  fmt::format("{} failed: {}; {}", what, error.message(), meaning),
                  fmt::format("{}, then delete this service and create it again", error.hint()));
  };
  kind.on_cancelled = [deps](auto& tx, const auto& operation) {
    note_cancelled({deps.events, deps.clock}, tx, operation);
  };
  return kind;
}

}  // namespace

void mark_synchronized(const WorkDependencies& deps, metadata::Transaction& tx, const ServiceBody& body) {
  model::Service service = metadata::Services(tx).require(body.service.id);
  if (service.status.state == model::ServiceState::kDeleting) return;
  const bool runs = !body.service.pause;
  service.status.state = runs ? model::ServiceState::kSynchronized : model::ServiceState::kPaused;
  service.status.observed_generation = body.service.generation;
  service.status.instance_id = body.instance.id;
  service.status.details = provider_of(deps, body).details(body, runs);
  service.status.reason.clear();
  service.status.next_step.clear();
  service.status.last_error.clear();
  write_status(deps.clock, tx, service);
}

void note_cancelled(const NoteDependencies& deps, metadata::Transaction& tx, const model::Operation& operation) {
  if (operation.kind == kinds::kImport) {
    const auto service = metadata::Services(tx).find(operation.service_id);
    if (!service) return;
    deps.events.record(tx, *service, events::kOperationCancelled,
                       "the import was cancelled: nothing of the dump is in the database",
                       {{"operation.id", operation.id}});
  } else if (operation.kind == kinds::kBackup) {
    note_backup_failed(deps, tx, operation, events::kOperationCancelled, "the backup was cancelled",
                       "schedule another one if it is still wanted");
  } else if (operation.kind == kinds::kVerify) {
    note_verification_cancelled(deps, tx, operation);
  } else if (operation.kind == kinds::kCreate || operation.kind == kinds::kRecover) {
    mark_not_made(deps, tx, operation, events::kOperationCancelled,
                  operation.kind == kinds::kCreate ? "making the service was cancelled" : "the recovery was cancelled",
                  "delete this service, and create it again if it is still wanted");
  }
}

OperationKind create_kind(const WorkDependencies& deps) {
  auto kind = making_kind(deps, events::kServiceCreateFailed, "making the service",
                          "it never held data, and what was made of it is removed");
  kind.steps = {{"provision",
                 [deps](StepContext& context) {
                   with_free_port(deps, context.operation(),
                                  [&](const ServiceBody& body) { provider_of(deps, body).provision(body, context); });
                 }},
                {"serve", [deps](StepContext& context) { serve(deps, context, "is ready for its clients"); }}};
  return kind;
}

OperationKind recover_kind(const WorkDependencies& deps) {
  auto kind = making_kind(deps, events::kRecoveryFailed, "the recovery",
                          "the source and its backups are untouched, and what was made of the new service is removed");
  kind.steps = {
      {"recover",
       [deps](StepContext& context) {
         const auto source = load_recovery(context.operation());
         with_free_port(deps, context.operation(), [&](const ServiceBody& body) {
           provider_of(deps, body).recover(body, source.first, source.second, context);
         });
         context.event(events::kRecoveryFinished, fmt::format("recovered from {}", source.second.description));
       }},
      {"serve", [deps](StepContext& context) { serve(deps, context, "was recovered and is ready for its clients"); }},
      {"switch", [deps](StepContext& context) {
         context.result()["serviceId"] = context.operation().service_id;
         if (!core::find_bool(context.operation().request, kThenSwitch).value_or(false)) return;
         if (const auto id = switch_to_recovered(deps, context)) context.result()["switchOperationId"] = *id;
       }}};
  return kind;
}

OperationKind update_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.steps = {{"apply", [deps](StepContext& context) {
                   follow_destination(deps, context.operation());
                   const auto body = body_of(deps, context.operation());
                   if (body.service.pause) {
                     pause(deps, context, body);
                     return;
                   }
                   provider_of(deps, body).apply(body, context);
                   // The body that was applied is the one to report: a later change has an operation of its own.
                   deps.database.write([&](auto& tx) {
                     mark_synchronized(deps, tx, body);
                     deps.events.record(tx, body.service, events::kServiceSynchronized, "the changes are in effect");
                   });
                 }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    auto service = metadata::Services(tx).require(operation.service_id);
    service.status.reason = service.status.last_error =
        "the change failed: " + error.message() + "; the data is untouched, the settings may be those before it";
    service.status.next_step = error.hint() + ", then send the change again";
    write_status(deps.clock, tx, service);
    deps.events.record(tx, service, events::kServiceUpdateFailed,
                       fmt::format("{}; {}", service.status.reason, service.status.next_step),
                       {{"operation.id", operation.id}});
  };
  return kind;
}

OperationKind restart_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.steps = {{"stop", [deps](StepContext& context) { stop_if_asked(deps, context); }},
                {"start", [deps](StepContext& context) {
                   const auto body = body_of(deps, context.operation());
                   if (is_over(body)) return;
                   provider_of(deps, body).start(body, context);
                   if (was_asked_for(context.operation())) mark_restarted(deps, body);
                   context.event(events::kServerRestarted, "the server runs again; clients can connect");
                 }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    auto service = metadata::Services(tx).find(operation.service_id);
    if (!service) return;  // deleted meanwhile
    if (was_asked_for(operation) && service->status.state == model::ServiceState::kUpdating) {
      service->status.state = model::ServiceState::kUnknown;  // the reconciler goes on from what it sees
      write_status(deps.clock, tx, *service);
    }
    deps.events.record(
        tx, *service, events::kServerRestartFailed,
        fmt::format("the server does not start: {}; its data is untouched and its backups can be recovered "
                    "into a new service; {}",
                    error.message(), error.hint()));
  };
  return kind;
}

OperationKinds all_kinds(const WorkDependencies& deps) {
  OperationKinds kinds;
  kinds.emplace(kinds::kCreate, create_kind(deps));
  kinds.emplace(kinds::kRecover, recover_kind(deps));
  kinds.emplace(kinds::kUpdate, update_kind(deps));
  kinds.emplace(kinds::kDelete, delete_kind(deps));
  kinds.emplace(kinds::kUndelete, undelete_kind(deps));
  kinds.emplace(kinds::kRestart, restart_kind(deps));
  kinds.emplace(kinds::kSwitch, switch_kind(deps));
  kinds.emplace(kinds::kFormer, former_kind(deps));
  for (auto& [name, kind] : kinds) {
    kind.on_waiting = [deps](auto& tx, const auto& operation, const core::Error& error) {
      note_waiting(deps, tx, operation, error);
    };
  }
  kinds.emplace(kinds::kBackup, backup_kind(deps));
  kinds.emplace(kinds::kVerify, verify_kind(deps));
  kinds.emplace(kinds::kRetention, retention_kind(deps));
  kinds.emplace(kinds::kPrune, prune_kind(deps));
  if (deps.spool != nullptr) kinds.emplace(kinds::kImport, import_kind(deps));
  return kinds;
}

bool is_cancellable(std::string_view kind) {
  return kind == kinds::kCreate || kind == kinds::kRecover || kind == kinds::kBackup || kind == kinds::kImport ||
         kind == kinds::kVerify;
}

}  // namespace backstay::control
