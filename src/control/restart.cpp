// Restarting a service because somebody asked for it. A server that died is the reconciler's matter.
#include "control/body_loader.h"
#include "control/idempotency.h"
#include "control/instance_records.h"
#include "control/service_commands.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

void require_restartable(const model::Service& service, const std::optional<model::Instance>& instance) {
  if (service.pause) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is paused", service.name))
        .with_hint("resume it (PATCH with pause false)");
  }
  if (!instance || instance->state != model::InstanceState::kServing) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is still being made", service.name))
        .with_hint("wait until it is synchronized");
  }
}

/// The one that is asked for already and has not begun.
std::optional<model::Operation> queued_restart(metadata::Transaction& tx, const std::string& service_id) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.kind = kinds::kRestart;
  open.open_only = true;
  for (auto& operation : metadata::Operations(tx).list(open)) {
    if (operation.request.contains("fence") && operation.state == model::OperationState::kQueued) {
      return std::move(operation);
    }
  }
  return std::nullopt;
}

}  // namespace

ServiceChange ServiceCommands::restart_service(const std::string& id, const Principal& principal) {
  require_scope(principal, model::kScopeServicesWrite);
  const auto seen = require_service(id, principal);
  require_changeable(seen);
  if (!deps_.providers.of_kind(seen.provider.kind).is_local()) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("the service '{}' cannot be restarted: the adapter contract of backends has no call "
                                  "for it",
                                  seen.name))
        .with_hint("pause and resume it where its provider can");
  }
  ServiceChange change;
  deps_.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(id);
    const auto instance = current_instance(tx, service);
    require_restartable(service, instance);
    require_no_switch(tx, service);
    change.operation = queued_restart(tx, id);
    if (!change.operation) {
      service.status.state = model::ServiceState::kUpdating;
      metadata::Services(tx).update_status(id, service.status, deps_.clock.now());
      events_.record(tx, service, events::kServiceRestarting,
                     "the service is being restarted, as was asked for: its connections are cut for a moment");
      change.operation = deps_.operations.enqueue(tx, {.kind = std::string(kinds::kRestart),
                                                       .team_id = service.team_id,
                                                       .service_id = id,
                                                       .lane = {},
                                                       .request = {{"instanceId", instance->id}, {"fence", true}},
                                                       .secrets = {},
                                                       .not_before = std::nullopt});
    }
    take_effect(tx, principal, id);
    change.service = std::move(service);
  });
  deps_.operations.ring();
  return change;
}

}  // namespace backstay::control
