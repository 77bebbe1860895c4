#include "control/former_instances.h"

#include <algorithm>

#include "control/body_loader.h"
#include "control/instance_records.h"
#include "control/operation_work.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

/// A store may be away for a day; what is not sent keeps the data.
constexpr std::int64_t kMostFailures = 720;
constexpr auto kAgainAfter = std::chrono::hours(1);

std::optional<model::Instance> find_former(const WorkDependencies& deps, const std::string& id) {
  auto instance = deps.database.read([&](auto& tx) { return metadata::Instances(tx).find(id); });
  if (!instance || instance->state != model::InstanceState::kStopped || !instance->kept_until) return std::nullopt;
  return instance;
}

void discard(const WorkDependencies& deps, StepContext& context) {
  const auto id = instance_of(context.operation());
  const auto former = find_former(deps, id);
  if (!former || *former->kept_until > deps.clock.now()) return;
  destroy_instance(deps, context);
  deps.database.write([&](auto& tx) {
    retire_instance(tx, id, deps.clock.now());
    const auto service = metadata::Services(tx).find(context.operation().service_id);
    if (!service) return;
    deps.events.record(tx, *service, events::kInstanceDiscarded,
                       "the data of the instance that served before is gone; times when it served can be recovered "
                       "from its archive as long as the retention keeps it",
                       {{"instance.id", id}});
  });
}

bool is_open(metadata::Transaction& tx, const model::Instance& instance) {
  metadata::OperationFilter open;
  open.service_id = instance.service_id;
  open.kind = kinds::kFormer;
  open.open_only = true;
  const auto lane = former_lane(instance.id);
  return std::ranges::any_of(metadata::Operations(tx).list(open),
                             [&](const auto& operation) { return operation.lane == lane; });
}

}  // namespace

std::string former_lane(const std::string& instance_id) { return "former/" + instance_id; }

void enter_former(metadata::Transaction& tx, OperationQueue& queue, const model::Service& service,
                  const std::string& instance_id) {
  const auto instance = metadata::Instances(tx).require(instance_id);
  if (is_open(tx, instance)) return;
  queue.enqueue(tx, {.kind = std::string(kinds::kFormer),
                     .team_id = service.team_id,
                     .service_id = service.id,
                     .lane = former_lane(instance_id),
                     .request = {{"instanceId", instance_id}},
                     .secrets = {},
                     .not_before = {}});
}

std::vector<model::Instance> kept_instances(metadata::Transaction& tx, const std::string& service_id) {
  auto instances = metadata::Instances(tx).list_of_service(service_id);
  std::erase_if(instances, [](const auto& instance) {
    return instance.state != model::InstanceState::kStopped || !instance.kept_until;
  });
  return instances;
}

void store_rest(const WorkDependencies& deps, StepContext& context, const std::string& instance_id) {
  deps.stop_companions(instance_id);
  const auto former = find_former(deps, instance_id);
  if (!former || !former->unsent) return;
  auto body = deps.database.read([&](auto& tx) {
    return load_body(tx, metadata::Services(tx).require(context.operation().service_id), instance_id);
  });
  if (body.service.backups.enabled && body.backups) {
    const auto epoch = deps.database.write([&](auto& tx) { return metadata::Instances(tx).next_epoch(instance_id); });
    provider_of(deps, body).store_rest(body, epoch, context);
  }
  deps.database.write([&](auto& tx) {
    auto instance = metadata::Instances(tx).require(instance_id);
    instance.unsent = false;
    metadata::Instances(tx).update(instance);
  });
}

OperationKind former_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.max_failures = kMostFailures;
  kind.steps = {
      {"store", [deps](StepContext& context) { store_rest(deps, context, instance_of(context.operation())); }},
      {"discard", [deps](StepContext& context) { discard(deps, context); }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    const auto service = metadata::Services(tx).find(operation.service_id);
    auto instance = metadata::Instances(tx).find(instance_of(operation));
    if (!service || !instance || !instance->kept_until) return;
    instance->kept_until = std::max(*instance->kept_until, deps.clock.now() + kAgainAfter);
    metadata::Instances(tx).update(*instance);
    deps.events.record(tx, *service, events::kInstanceUnsent,
                       fmt::format("an instance that served before could not be tended: {}; its data stays; {}",
                                   error.message(), error.hint()),
                       {{"instance.id", instance_of(operation)}});
  };
  return kind;
}

void FormerInstances::tick() {
  const auto now = clock_.now();
  const auto over = database_.read([&](auto& tx) { return metadata::Instances(tx).list_kept_until(now, server_); });
  if (over.empty()) return;
  database_.write([&](auto& tx) {
    for (const auto& instance : over) {
      const auto service = metadata::Services(tx).find(instance.service_id);
      // One that is being switched back to is in other hands; a deletion takes all of them.
      if (!service || service->delete_requested_at || open_switch(tx, *service)) continue;
      enter_former(tx, queue_, *service, instance.id);
    }
  });
  queue_.ring();
}

}  // namespace backstay::control
