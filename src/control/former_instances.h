// Instances that a service pointed to before: the store gets the last of what they wrote, their data is kept for
// switching back, and then it goes. Their archives stay by the service's retention.
#pragma once

#include <string>

#include "control/operation_queue.h"
#include "control/service_operations.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// Stores what an instance had not sent, and removes its data if its time is over.
OperationKind former_kind(const WorkDependencies& deps);

/// Enters that work, unless it waits already.
void enter_former(metadata::Transaction& tx, OperationQueue& queue, const model::Service& service,
                  const std::string& instance_id);
/// The lane of that work.
std::string former_lane(const std::string& instance_id);

/// The service's instances whose data is kept for switching back.
std::vector<model::Instance> kept_instances(metadata::Transaction& tx, const std::string& service_id);

/// Brings what an instance had not sent to its store. Nothing runs beside it any more.
void store_rest(const WorkDependencies& deps, StepContext& context, const std::string& instance_id);

/// Enters the work for those whose time is over. For one thread.
class FormerInstances {
 public:
  /// All outlive it. `server` is the epoch of this run of the server.
  FormerInstances(metadata::Database& database, OperationQueue& queue, core::Clock& clock, std::int64_t server)
      : database_(database), queue_(queue), clock_(clock), server_(server) {}
  void tick();

 private:
  metadata::Database& database_;
  OperationQueue& queue_;
  core::Clock& clock_;
  std::int64_t server_;
};

}  // namespace backstay::control
