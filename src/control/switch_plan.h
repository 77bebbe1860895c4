// What may take the place of a service's instance, and when.
#pragma once

#include <optional>
#include <string>

#include "control/principal.h"
#include "control/requests.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/instance.h"
#include "model/operation.h"
#include "model/service.h"

namespace backstay::control {

/// A switch-over that is possible now.
struct SwitchPlan {
  model::Instance from{};
  model::Instance to{};
  /// The candidate that `to` is the instance of; nothing when switching back.
  std::optional<model::Service> candidate{};
};

/// The open switch-over of the service, or the one that it is the candidate of; nothing if there is none.
std::optional<model::Operation> open_switch(metadata::Transaction& tx, const model::Service& service);
/// Throws Error(conflict) while there is one.
void require_no_switch(metadata::Transaction& tx, const model::Service& service);

/// Throws Error(invalid_argument) with /candidateId or /instanceId for what is not the service's, Error(conflict) with
/// the reason for what is not ready. Candidates of teams that the principal does not see are not there.
SwitchPlan plan_switch(metadata::Transaction& tx, const model::Service& service, const SwitchRequest& request,
                       core::Timestamp now);

/// A base backup of the instance was read back from where its WAL goes: times after it can be reached.
bool has_confirmed_base(metadata::Transaction& tx, const std::string& service_id, const std::string& instance_id);

/// The request of the operation that carries the plan out.
core::json::object switch_request(const SwitchPlan& plan);

}  // namespace backstay::control
