#include "control/instance_records.h"

#include <algorithm>
#include <tuple>

#include "control/archive_memory.h"
#include "control/body_loader.h"
#include "control/storage_use.h"
#include "metadata/instances.h"
#include "metadata/settings.h"

namespace backstay::control {

std::vector<model::Instance> instances_as_served(metadata::Transaction& tx, const std::string& service_id) {
  auto instances = metadata::Instances(tx).list_of_service(service_id);
  const auto last_served = [](const model::Instance& instance) {
    if (instance.served_until) return *instance.served_until;
    return instance.served_from ? core::Timestamp::max() : instance.created_at;
  };
  std::ranges::sort(instances, {}, [&](const model::Instance& instance) {
    return std::tuple(last_served(instance), instance.created_at, std::string_view(instance.id));
  });
  return instances;
}

std::vector<model::Instance> archived_instances(metadata::Transaction& tx, const std::string& service_id) {
  auto instances = instances_as_served(tx, service_id);
  std::erase_if(instances, [](const auto& instance) { return instance.destination_id.empty(); });
  std::ranges::reverse(instances);
  return instances;
}

bool archives_continuously(const model::Instance& instance, const std::string& destination_id,
                           const std::vector<model::Backup>& backups) {
  return instance.destination_id == destination_id || std::ranges::any_of(backups, [&](const auto& backup) {
           return backup.instance_id == instance.id && backup.destination_id == destination_id &&
                  !backup.stands_alone && backup.mechanism == model::BackupMechanism::kPhysical;
         });
}

std::optional<model::Instance> current_instance(metadata::Transaction& tx, const model::Service& service) {
  auto instances = metadata::Instances(tx).list_of_service(service.id);
  if (instances.empty()) return std::nullopt;
  for (auto& instance : instances) {
    if (instance.id == service.status.instance_id) return instance;
  }
  return instances.back();
}

void retire_instance(metadata::Transaction& tx, const std::string& instance_id, core::Timestamp now) {
  metadata::Settings settings(tx);
  for (const auto& key : {instance_secret_key(instance_id), known_window_key(instance_id),
                          storage_level_key(instance_id), storage_used_key(instance_id)}) {
    settings.remove(key);
  }
  metadata::Allocations(tx).release_all(instance_id);
  auto instance = metadata::Instances(tx).require(instance_id);
  if (instance.state == model::InstanceState::kRemoved) return;
  instance.state = model::InstanceState::kRemoved;
  if (instance.served_from && !instance.served_until) instance.served_until = now;
  instance.kept_until.reset();
  metadata::Instances(tx).update(instance);
}

}  // namespace backstay::control
