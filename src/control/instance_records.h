// What the state keeps of instances: which ones have an archive, and what goes when one is no more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/instance.h"
#include "model/service.h"

namespace backstay::control {

/// The service's instances in the order in which they last served; the one that serves comes last.
std::vector<model::Instance> instances_as_served(metadata::Transaction& tx, const std::string& service_id);

/// The service's instances that ever had an archive, the one that served last first.
std::vector<model::Instance> archived_instances(metadata::Transaction& tx, const std::string& service_id);

/// Its WAL goes to the destination, or went there while backups were taken that need what came after them. Otherwise
/// every backup of it there stands alone.
bool archives_continuously(const model::Instance& instance, const std::string& destination_id,
                           const std::vector<model::Backup>& backups);

/// The instance that serves, or, until there is one, the one that is being made; nothing if there is neither.
std::optional<model::Instance> current_instance(metadata::Transaction& tx, const model::Service& service);

/// The instance's data is gone: it is kRemoved, its numbers are free, and its secret and what was remembered of it are
/// forgotten. What is in the store stays. May be repeated.
void retire_instance(metadata::Transaction& tx, const std::string& instance_id, core::Timestamp now);

}  // namespace backstay::control
