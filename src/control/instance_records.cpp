#include "control/instance_records.h"

#include <algorithm>

#include "control/archive_memory.h"
#include "control/body_loader.h"
#include "control/storage_use.h"
#include "metadata/instances.h"
#include "metadata/settings.h"

namespace backstay::control {

std::vector<model::Instance> archived_instances(metadata::Transaction& tx, const std::string& service_id) {
  auto instances = metadata::Instances(tx).list_of_service(service_id);
  std::erase_if(instances, [](const auto& instance) { return instance.destination_id.empty(); });
  std::ranges::reverse(instances);
  return instances;
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
  if (instance.served_from) instance.served_until = now;
  metadata::Instances(tx).update(instance);
}

}  // namespace backstay::control
