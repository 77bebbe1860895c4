// Bringing a deleted service back, as long as its record is kept.
#include "control/body_loader.h"
#include "control/idempotency.h"
#include "control/instance_records.h"
#include "control/operation_kind.h"
#include "control/service_commands.h"
#include "control/service_operations.h"
#include "core/error.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

void require_deleted(metadata::Transaction& tx, const model::Service& service, core::Timestamp now) {
  if (!service.delete_requested_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is not deleted", service.name));
  }
  if (service.deleted_at && !service.candidate_of.empty() && service.status.instance_id.empty()) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("the service '{}' cannot come back: {}", service.name, service.status.reason));
  }
  if (service.expires_at && *service.expires_at <= now) {
    throw core::Error(
        core::Code::kRecoveryOutOfReach,
        fmt::format("the record of the service '{}' has expired: its backups are being removed", service.name))
        .with_hint("nothing of it can be recovered any more");
  }
  metadata::OperationFilter open;
  open.service_id = service.id;
  open.kind = kinds::kDelete;
  open.open_only = true;
  if (!metadata::Operations(tx).list(open).empty()) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is being deleted now", service.name))
        .with_hint("wait for the end of the deletion, then undelete it");
  }
}

void take_name_back(metadata::Transaction& tx, const model::Service& service) {
  try {
    metadata::Services(tx).update_desired(service);
  } catch (core::Error& error) {
    if (error.code() != core::Code::kAlreadyExists) throw;
    throw std::move(error).with_hint("rename the other service first, then undelete this one");
  }
}

}  // namespace

ServiceChange ServiceCommands::undelete_service(const std::string& id, const Principal& principal) {
  require_recover_in_place(principal);
  auto service = require_service(id, principal);
  deps_.database.read([&](auto& tx) { require_deleted(tx, service, deps_.clock.now()); });
  auto operation = service.deleted_at ? recover_deleted(service, principal) : keep_undeleted(service, principal);
  deps_.operations.ring();
  return {std::move(service), std::move(operation)};
}

model::Operation ServiceCommands::keep_undeleted(model::Service& service, const Principal& principal) {
  return deps_.database.write([&](auto& tx) {
    service = metadata::Services(tx).require(service.id);
    require_deleted(tx, service, deps_.clock.now());
    auto instance = metadata::Instances(tx).require(service.status.instance_id);
    instance.state = model::InstanceState::kServing;
    metadata::Instances(tx).update(instance);
    return begin_undelete(tx, principal, service, model::ServiceState::kUpdating, kinds::kUpdate, instance.id, {}, {});
  });
}

model::Operation ServiceCommands::recover_deleted(model::Service& service, const Principal& principal) {
  if (!service.backups.enabled) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("the service '{}' was deleted without a final backup", service.name))
        .with_hint("create a new service with recoverFrom and the id of one of its backups");
  }
  if (!deps_.providers.of_kind(service.provider.kind).is_local()) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("the service '{}' cannot be undeleted: its backend has deleted it, and the adapter "
                                  "contract knows no way back under the same id",
                                  service.name))
        .with_hint("create a new service with recoverFrom and the id of one of its backups");
  }
  RecoveryQuestion question;
  question.source = service;
  deps_.database.read([&](auto& tx) {
    question.instances = archived_instances(tx, service.id);
    if (question.instances.empty()) return;
    question.from = load_target(tx, question.instances.front().destination_id, service.team_id);
  });
  if (question.instances.empty()) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("the service '{}' never had a backup", service.name));
  }
  const auto plan = deps_.providers.of_kind(service.provider.kind).plan_recovery(question, service);
  core::json::object request;
  model::Secrets secrets;
  store_recovery(question.from, plan, request, secrets);
  return deps_.database.write([&](auto& tx) {
    service = metadata::Services(tx).require(service.id);
    require_deleted(tx, service, deps_.clock.now());
    request["deleteRequestedAt"] = service.delete_requested_at->time_since_epoch().count();
    const std::string instance_id = deps_.random.uuid();
    write_new_instance(tx, service, instance_id);
    return begin_undelete(tx, principal, service, model::ServiceState::kCreating, kinds::kUndelete, instance_id,
                          std::move(request), std::move(secrets));
  });
}

model::Operation ServiceCommands::begin_undelete(metadata::Transaction& tx, const Principal& principal,
                                                 model::Service& service, model::ServiceState state,
                                                 std::string_view kind, const std::string& instance_id,
                                                 core::json::object request, model::Secrets secrets) {
  service.delete_requested_at = service.deleted_at = service.expires_at = std::nullopt;
  service.pause = false;
  service.updated_at = deps_.clock.now();
  ++service.generation;
  take_name_back(tx, service);
  service.status.state = state;
  service.status.reason.clear();
  service.status.next_step.clear();
  metadata::Services(tx).update_status(service.id, service.status, service.updated_at);
  take_effect(tx, principal, service.id);
  events_.record(tx, service, events::kServiceUndeleting, "the service is being brought back");
  NewOperation work;
  work.kind = kind;
  work.team_id = service.team_id;
  work.service_id = service.id;
  work.request = std::move(request);
  work.request["instanceId"] = instance_id;
  work.secrets = std::move(secrets);
  return deps_.operations.enqueue(tx, work);
}

}  // namespace backstay::control
