#include "control/service_commands.h"

#include "control/backup_schedule.h"
#include "control/body_loader.h"
#include "control/dump_download.h"
#include "control/idempotency.h"
#include "control/instance_records.h"
#include "control/operation_kind.h"
#include "control/service_operations.h"
#include "control/switch_plan.h"
#include "control/tier_rules.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/settings.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

constexpr std::size_t kInstanceSecretLength = 40;

model::ServiceState state_while_updating(model::ServiceState now, bool turns, bool pause) {
  using enum model::ServiceState;
  if (turns && now != kCreating) return pause ? kPausing : kUnpausing;
  return now == kSynchronized ? kUpdating : now;
}

/// As much of the changes as an event should hold.
std::string update_body(const std::vector<std::string>& changes, bool paused) {
  constexpr std::size_t kLongest = 1000;
  std::string body = "a change of the service was accepted";
  std::string_view between = ": ";
  for (const auto& change : changes) {
    if (body.size() + change.size() > kLongest) {
      body += ", and more";
      break;
    }
    body.append(between).append(change);
    between = "; ";
  }
  return paused ? body + "; it is in effect once the service is resumed" : body;
}

/// The same deletion, with the weaker wish for a final backup.
model::Operation delete_again(metadata::Transaction& tx, const NoteDependencies& deps, const model::Service& service,
                              model::Operation deletion, FinalBackup wish) {
  if (!can_weaken(deletion, wish)) return deletion;
  deletion.request["finalBackup"] = to_text(wish);
  metadata::Operations(tx).change_request(deletion.id, deletion.request, deps.clock.now());
  deps.events.record(tx, service, events::kServiceDeleting,
                     wish == FinalBackup::kSkip
                         ? "the deletion goes on without a final backup, as was asked for now"
                         : "the deletion goes on once a final backup was tried, as was asked for now");
  return metadata::Operations(tx).require(deletion.id);
}

}  // namespace

ServiceCommands::ServiceCommands(CommandDependencies dependencies, CommandConfig config)
    : deps_(dependencies),
      config_(config),
      events_(deps_.clock, deps_.random),
      admission_({deps_.database, deps_.providers, deps_.stores, deps_.clock, deps_.random}) {}

ServiceChange ServiceCommands::create_service(const CreateServiceRequest& request, const Principal& principal,
                                              Effect effect) {
  require_scope(principal, request.recover_from ? model::kScopeBackupsRecover : model::kScopeServicesWrite);
  return make_service(request, {}, principal, effect);
}

ServiceChange ServiceCommands::make_service(const CreateServiceRequest& request, const Making& making,
                                            const Principal& principal, Effect effect) {
  auto [service, destination] = admission_.create(request, principal);
  std::optional<AdmittedRecovery> recovery;
  if (request.recover_from) {
    recovery = admission_.recover(*request.recover_from, service, principal);
    service.recovered_from = recovery->recovered_from;
  }
  service.candidate_of = making.candidate_of;
  if (making.then_switch) {
    recovery->plan.forecast["warnings"].as_array().emplace_back(
        "the service goes on with it as soon as it is ready: its connections are cut then");
  }
  const std::string instance_id = deps_.random.uuid();
  NewOperation work;
  work.kind = recovery ? kinds::kRecover : kinds::kCreate;
  work.team_id = service.team_id;
  work.service_id = service.id;
  work.request["instanceId"] = instance_id;
  if (recovery) {
    store_recovery(recovery->from, recovery->plan, work.request, work.secrets);
    work.request["recoveredFrom"] = service.recovered_from;
  }
  if (making.then_switch) work.request[kThenSwitch] = true;

  auto tx = deps_.database.begin(metadata::Access::kWrite);
  if (!recovery) require_tier_room(tx, service);
  metadata::Services(tx).insert(service);
  if (destination) write_destination(tx, *destination, service.team_id);
  write_new_instance(tx, service, instance_id);
  tell_where(tx, service, instance_id);
  auto operation = deps_.operations.enqueue(tx, work);
  if (effect == Effect::kDryRun) return {std::move(service), std::move(operation)};
  take_effect(tx, principal, service.id);
  events_.record(tx, service, events::kServiceCreated, "the service was asked for and is being made");
  if (recovery) {
    events_.record(tx, service, events::kRecoveryStarted, "a recovery has begun: " + recovery->plan.description);
  }
  tx.commit();
  deps_.operations.ring();
  return {std::move(service), std::move(operation)};
}

void ServiceCommands::tell_where(metadata::Transaction& tx, model::Service& service, const std::string& instance_id) {
  const auto& provider = deps_.providers.of_kind(service.provider.kind);
  if (!provider.is_local()) return;
  service.status.details = provider.details(load_body(tx, service, instance_id), false);
  metadata::Services(tx).update_status(service.id, service.status, service.updated_at);
}

void ServiceCommands::write_new_instance(metadata::Transaction& tx, const model::Service& service,
                                         const std::string& instance_id) {
  const auto& provider = deps_.providers.of_kind(service.provider.kind);
  model::Instance instance;
  instance.id = instance_id;
  instance.service_id = service.id;
  instance.directory = instance_id;
  instance.created_at = deps_.clock.now();
  if (service.backups.enabled) instance.destination_id = service.backups.destination_id;
  if (provider.is_local()) instance.port = allocate_port(tx, {config_.ports, provider, deps_.random}, instance);
  if (provider.is_local() && config_.first_uid != 0) {
    instance.uid = static_cast<std::uint32_t>(metadata::Allocations(tx).allocate_in_turn(
        "uid", instance.node, instance_id, config_.first_uid, config_.last_uid,
        [&](std::int64_t uid) { return provider.user_usable(static_cast<std::uint32_t>(uid)); }));
  }
  metadata::Instances(tx).insert(instance);
  metadata::Settings(tx).put_secret(instance_secret_key(instance_id),
                                    core::Secret(deps_.random.token(kInstanceSecretLength)));
}

model::Service ServiceCommands::require_service(const std::string& id, const Principal& principal) {
  auto service = deps_.database.read([&](auto& tx) { return metadata::Services(tx).find(id); });
  if (!service || !principal.sees_team(service->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no service '{}'", id));
  }
  return std::move(*service);
}

void ServiceCommands::require_deletable(const model::Service& service) {
  if (service.deleted_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is deleted already", service.name));
  }
  if (service.deletion_protection) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is protected from deletion", service.name))
        .with_hint("take the protection back first (PATCH with deletionProtection false)");
  }
}

void ServiceCommands::require_changeable(const model::Service& service) {
  if (service.delete_requested_at || service.deleted_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is being deleted", service.name));
  }
  const auto instance = deps_.database.read([&](auto& tx) { return current_instance(tx, service); });
  if (!instance || instance->state == model::InstanceState::kFailed) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("the service '{}' was never made: {}", service.name, service.status.reason))
        .with_hint("delete it and create it again");
  }
}

ServiceChange ServiceCommands::update_service(const std::string& id, const UpdateServiceRequest& request,
                                              const Principal& principal) {
  require_scope(principal, model::kScopeServicesWrite);
  const auto before = require_service(id, principal);
  require_generation(principal, before);
  require_changeable(before);
  const auto admitted = admit_change(before, request);
  auto written = deps_.database.write([&](auto& tx) { return write_change(tx, admitted); });
  begin(written);
  return {std::move(written.service), std::move(written.operation)};
}

AdmittedChange ServiceCommands::admit_change(const model::Service& before, const UpdateServiceRequest& request) {
  auto [after, destination] = admission_.update(before, request);
  AdmittedChange admitted{.before = before, .after = std::move(after), .destination = std::move(destination)};
  admitted.needs_work = request.config || request.secrets || request.plan || request.backups ||
                        before.pause != admitted.after.pause || before.app_version != admitted.after.app_version;
  if (admitted.needs_work) admitted.changes = setting_changes(before, admitted.after).effects;
  return admitted;
}

WrittenChange ServiceCommands::write_change(metadata::Transaction& tx, const AdmittedChange& change) {
  const auto& before = change.before;
  WrittenChange written{.service = change.after};
  auto& service = written.service;
  const auto latest = metadata::Services(tx).require(before.id);
  if (latest.generation != before.generation || latest.delete_requested_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' was changed meanwhile", before.name))
        .with_hint("read the service and send the change again");
  }
  if (change.needs_work) require_no_switch(tx, latest);
  require_plan_granted(tx, latest, service);
  if (change.destination) write_destination(tx, *change.destination, service.team_id);
  service.generation = before.generation + 1;
  service.updated_at = deps_.clock.now();
  service.status = latest.status;
  metadata::Services(tx).update_desired(service);
  tell_settings(tx, before, service);
  if (!change.needs_work) {
    if (latest.status.observed_generation != latest.generation) return written;  // an open change will tell
    service.status.observed_generation = service.generation;
    metadata::Services(tx).update_status(service.id, service.status, service.updated_at);
    return written;
  }
  const bool turns = before.pause != service.pause;
  // A backup that waits for its store must not hold up the wish to do without, or to pause.
  const bool backups_end = (before.backups.enabled && !service.backups.enabled) || (turns && service.pause);
  if (backups_end) written.cancelled = cancel_open(tx, service.id, {kinds::kBackup});
  if (const auto state = state_while_updating(latest.status.state, turns, service.pause);
      state != latest.status.state) {
    service.status.state = state;
    metadata::Services(tx).update_status(service.id, service.status, service.updated_at);
  }
  if (turns) {
    events_.record(tx, service, service.pause ? events::kServicePausing : events::kServiceUnpausing,
                   service.pause ? "the service is being paused: its clients are sent away, its data is kept"
                                 : "the service is being resumed");
  }
  if (!turns || !change.changes.empty()) {
    events_.record(tx, service, events::kServiceUpdating, update_body(change.changes, service.pause));
  }
  NewOperation work;
  work.kind = kinds::kUpdate;
  work.team_id = service.team_id;
  work.service_id = service.id;
  work.request["instanceId"] = current_instance(tx, service)->id;
  if (!(latest.plan == service.plan)) work.request["plan"] = service.plan.id;
  written.operation = deps_.operations.enqueue(tx, work);
  return written;
}

void ServiceCommands::tell_settings(metadata::Transaction& tx, const model::Service& before,
                                    const model::Service& service) {
  if (before.name != service.name) {
    events_.record(tx, service, events::kServiceRenamed,
                   fmt::format("the service '{}' is called '{}' from now on", before.name, service.name),
                   {{"service.former_name", before.name}});
  }
  if (before.deletion_protection != service.deletion_protection) {
    events_.record(tx, service, service.deletion_protection ? events::kServiceProtected : events::kServiceUnprotected,
                   service.deletion_protection ? "the service is protected: deletions are refused"
                                               : "the service is not protected any more: it can be deleted");
  }
  if (before.labels != service.labels) {
    events_.record(tx, service, events::kServiceLabelled, "the labels of the service were changed");
  }
  if (before.backups.enabled != service.backups.enabled) {
    events_.record(tx, service, service.backups.enabled ? events::kBackupsEnabled : events::kBackupsDisabled,
                   service.backups.enabled
                       ? "backups were switched on: the first is taken at once"
                       : "backups were switched off: changes from now on cannot be recovered; what is stored stays");
  }
}

void ServiceCommands::begin(const WrittenChange& written) {
  for (const auto& cancelled : written.cancelled) deps_.operations.cancel(cancelled);
  deps_.operations.ring();
}

std::optional<AdmittedChange> ServiceCommands::admit_backups_on(const model::Service& service,
                                                                const std::optional<std::string>& destination_id,
                                                                const Principal& principal) {
  if (service.backups.enabled) return std::nullopt;
  require_scope(principal, model::kScopeServicesWrite);
  require_changeable(service);
  if (service.pause) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("backups of '{}' are off, and it is paused: they begin while it runs", service.name))
        .with_hint("resume it first");
  }
  const bool is_named = destination_id || !service.backups.destination_id.empty();
  const bool is_local = deps_.providers.of_kind(service.provider.kind).is_local();
  if (is_local && !is_named && !admission_.has_default(service.team_id)) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("backups of '{}' are off, and nothing says where they would go", service.name))
        .with_field("/destinationId", "is needed: there is no default destination")
        .with_hint("name a destination");
  }
  UpdateServiceRequest request;
  auto& backups = request.backups.emplace();
  backups.enabled = true;
  backups.destination_id = destination_id;
  return admit_change(service, request);
}

std::vector<std::string> ServiceCommands::cancel_open(metadata::Transaction& tx, const std::string& service_id,
                                                      const std::set<std::string_view>& kinds) {
  std::vector<std::string> cancelled;
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.open_only = true;
  for (const auto& operation : metadata::Operations(tx).list(open)) {
    if (!kinds.contains(operation.kind)) continue;
    request_cancel(tx, operation);
    cancelled.push_back(operation.id);
  }
  return cancelled;
}

ServiceChange ServiceCommands::delete_service(const std::string& id, FinalBackup final_backup,
                                              const Principal& principal) {
  require_scope(principal, model::kScopeServicesDelete);
  auto service = require_service(id, principal);
  require_deletable(service);
  std::vector<std::string> to_cancel;
  auto operation = deps_.database.write([&](auto& tx) {
    metadata::OperationFilter open;
    open.service_id = id;
    open.kind = kinds::kDelete;
    open.open_only = true;
    require_no_switch(tx, service);
    if (const auto deleting = metadata::Operations(tx).list(open); !deleting.empty()) {
      return delete_again(tx, {events_, deps_.clock}, service, deleting.front(), final_backup);
    }
    to_cancel = cancel_open(tx, id, ended_by_deletion(service));
    service = metadata::Services(tx).require(id);
    require_generation(principal, service);
    require_deletable(service);
    service.delete_requested_at = deps_.clock.now();
    service.updated_at = deps_.clock.now();
    ++service.generation;
    metadata::Services(tx).update_desired(service);
    service.status.state = model::ServiceState::kDeleting;
    service.status.reason.clear();
    service.status.next_step.clear();
    metadata::Services(tx).update_status(id, service.status, service.updated_at);
    const auto instance = current_instance(tx, service);
    NewOperation work;
    work.kind = kinds::kDelete;
    work.team_id = service.team_id;
    work.service_id = id;
    work.request["instanceId"] = instance->id;
    const bool has_state = service.backups.enabled && instance->state == model::InstanceState::kServing;
    if (has_state && final_backup != FinalBackup::kSkip) {
      work.request["finalBackup"] = to_text(final_backup);
      work.request["backupId"] = enter_backup({deps_.operations, events_, deps_.clock, deps_.random}, tx, service,
                                              {.origin = model::BackupOrigin::kFinal})
                                     .id;
    }
    events_.record(tx, service, events::kServiceDeleting,
                   work.request.contains("backupId")
                       ? "the service is being deleted: a final backup first, then its data"
                       : "the service and its data are being deleted");
    return deps_.operations.enqueue(tx, work);
  });
  for (const auto& cancelled : to_cancel) deps_.operations.cancel(cancelled);
  deps_.operations.ring();
  return {std::move(service), std::move(operation)};
}

void ServiceCommands::request_cancel(metadata::Transaction& tx, const model::Operation& operation) {
  const auto state = metadata::Operations(tx).request_cancel(operation.id, deps_.clock.now());
  // A running one is ended, and noted, by its worker.
  if (state == model::OperationState::kCancelled) note_cancelled({events_, deps_.clock}, tx, operation);
}

model::Operation ServiceCommands::cancel_operation(const std::string& id, const Principal& principal) {
  require_write(principal);
  const auto operation = deps_.database.write([&](auto& tx) {
    const auto found = metadata::Operations(tx).find(id);
    if (!found || !principal.sees_team(found->team_id)) {
      throw core::Error(core::Code::kNotFound, fmt::format("there is no operation '{}'", id));
    }
    if (model::is_terminal(found->state)) {
      throw core::Error(core::Code::kConflict,
                        fmt::format("the operation '{}' has ended: {}", id, model::to_text(found->state)));
    }
    if (!is_cancellable(found->kind)) {
      throw core::Error(core::Code::kConflict, fmt::format("an operation '{}' cannot be cancelled", found->kind))
          .with_hint("wait for its end; what it did can be changed afterwards");
    }
    request_cancel(tx, *found);
    return metadata::Operations(tx).require(id);
  });
  deps_.operations.cancel(id);
  deps_.operations.feed().notify(id);
  deps_.operations.ring();
  return operation;
}

}  // namespace backstay::control
