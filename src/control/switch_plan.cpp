#include "control/switch_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/operation_queue.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

using core::Code;
using core::Error;

[[noreturn]] void refuse(std::string pointer, const std::string& message) {
  throw Error(Code::kInvalidArgument, message).with_field(std::move(pointer), message);
}

std::vector<model::Operation> open_operations(metadata::Transaction& tx, const std::string& service_id,
                                              std::string_view kind = {}) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.kind = kind;
  open.open_only = true;
  return metadata::Operations(tx).list(open);
}

/// The instance that the service points at.
model::Instance require_switchable(metadata::Transaction& tx, const model::Service& service) {
  const auto conflict = [&](std::string_view why) {
    return Error(Code::kConflict, fmt::format("the service '{}' cannot be switched over: {}", service.name, why));
  };
  if (service.delete_requested_at) throw conflict("it is deleted");
  if (service.pause) throw conflict("it is paused").with_hint("resume it (PATCH with pause false), then switch");
  const auto instance = metadata::Instances(tx).find(service.status.instance_id);
  if (!instance || instance->state != model::InstanceState::kServing) {
    throw conflict("it does not serve yet").with_hint("wait until it is synchronized");
  }
  require_no_switch(tx, service);
  return *instance;
}

/// Why a candidate cannot take the place now; empty if it can.
std::string candidate_problem(metadata::Transaction& tx, const model::Service& candidate) {
  if (candidate.delete_requested_at) {
    return candidate.status.reason.empty() ? "it is deleted" : candidate.status.reason;
  }
  if (candidate.pause) return "it is paused";
  const auto instance = metadata::Instances(tx).find(candidate.status.instance_id);
  if (!instance || instance->state != model::InstanceState::kServing) {
    return candidate.status.reason.empty() ? "it is not ready yet" : candidate.status.reason;
  }
  for (const auto& operation : open_operations(tx, candidate.id)) {
    // A recovery whose instance serves has only this switch-over left to ask for.
    const bool waits =
        operation.kind == kinds::kBackup || operation.kind == kinds::kRecover || operation.kind == kinds::kVerify;
    if (!waits && operation.kind != kinds::kRetention) {
      return fmt::format("the operation '{}' works on it", operation.kind);
    }
  }
  return {};
}

model::Service choose_candidate(metadata::Transaction& tx, const model::Service& service,
                                const std::optional<std::string>& id) {
  auto candidates = metadata::Services(tx).list_candidates(service.id);
  if (id) {
    const auto named = std::ranges::find(candidates, *id, &model::Service::id);
    if (named == candidates.end() || named->team_id != service.team_id) {
      refuse("/candidateId", fmt::format("the service '{}' has no candidate '{}'", service.name, *id));
    }
    const auto problem = candidate_problem(tx, *named);
    if (problem.empty()) return *named;
    throw Error(Code::kConflict, fmt::format("the candidate '{}' is not ready: {}", named->name, problem))
        .with_field("/candidateId", "is not ready");
  }
  std::ranges::reverse(candidates);
  for (const auto& candidate : candidates) {
    if (candidate_problem(tx, candidate).empty()) return candidate;
  }
  throw Error(Code::kConflict, fmt::format("the service '{}' has no candidate that is ready", service.name))
      .with_hint("recover a past state of it into a candidate first (POST /api/recoveries with into: candidate)");
}

model::Instance require_kept(metadata::Transaction& tx, const model::Service& service, const std::string& id,
                             core::Timestamp now) {
  const auto instance = metadata::Instances(tx).find(id);
  if (!instance || instance->service_id != service.id || id == service.status.instance_id) {
    refuse("/instanceId", fmt::format("the service '{}' has no other instance '{}'", service.name, id));
  }
  const bool kept = instance->state == model::InstanceState::kStopped && instance->kept_until;
  if (kept && *instance->kept_until > now) return *instance;
  throw Error(Code::kConflict, fmt::format("the data of the instance '{}' is not kept any more", id))
      .with_field("/instanceId", "is not kept any more")
      .with_hint("recover the time when it served, from its archive, into a candidate");
}

/// The data that served last before what serves now.
model::Instance require_former(metadata::Transaction& tx, const model::Service& service, core::Timestamp now) {
  auto instances = metadata::Instances(tx).list_of_service(service.id);
  std::erase_if(instances, [&](const auto& instance) {
    return instance.id == service.status.instance_id || instance.state != model::InstanceState::kStopped ||
           !instance.kept_until || *instance.kept_until <= now;
  });
  const auto last = std::ranges::max_element(instances, {}, &model::Instance::served_until);
  if (last != instances.end()) return *last;
  throw Error(Code::kConflict,
              fmt::format("nothing is kept any more that the service '{}' could be switched back to", service.name))
      .with_hint("recover the time before the switch-over into a candidate instead");
}

}  // namespace

std::optional<model::Operation> open_switch(metadata::Transaction& tx, const model::Service& service) {
  for (auto& operation : open_operations(tx, service.id, kinds::kSwitch)) return std::move(operation);
  if (service.candidate_of.empty()) return std::nullopt;
  for (auto& operation : open_operations(tx, service.candidate_of, kinds::kSwitch)) {
    if (core::find_string(operation.request, "candidateId") == service.id) return std::move(operation);
  }
  return std::nullopt;
}

void require_no_switch(metadata::Transaction& tx, const model::Service& service) {
  if (!open_switch(tx, service)) return;
  throw Error(Code::kConflict, fmt::format("the service '{}' is being switched over", service.name))
      .with_hint("wait for the end of the switch-over, which takes seconds");
}

SwitchPlan plan_switch(metadata::Transaction& tx, const model::Service& service, const SwitchRequest& request,
                       core::Timestamp now) {
  if (request.candidate_id && request.instance_id) {
    refuse("/instanceId", "cannot be given together with candidateId");
  }
  if (request.back && (request.candidate_id || request.instance_id)) {
    refuse("/back", "a switch-over goes back or to what is named, not both");
  }
  SwitchPlan plan;
  plan.from = require_switchable(tx, service);
  if (request.instance_id) {
    plan.to = require_kept(tx, service, *request.instance_id, now);
    return plan;
  }
  if (request.back) {
    plan.to = require_former(tx, service, now);
    return plan;
  }
  plan.candidate = choose_candidate(tx, service, request.candidate_id);
  plan.to = metadata::Instances(tx).require(plan.candidate->status.instance_id);
  return plan;
}

bool has_confirmed_base(metadata::Transaction& tx, const std::string& service_id, const std::string& instance_id) {
  metadata::BackupFilter filter;
  filter.service_id = service_id;
  return std::ranges::any_of(metadata::Backups(tx).list(filter), [&](const auto& backup) {
    return backup.instance_id == instance_id && backup.mechanism == model::BackupMechanism::kPhysical &&
           !backup.stands_alone && backup.confirmed_at && backup.stored_at;
  });
}

core::json::object switch_request(const SwitchPlan& plan) {
  core::json::object request{{"instanceId", plan.from.id}, {"toInstanceId", plan.to.id}};
  if (plan.candidate) request["candidateId"] = plan.candidate->id;
  return request;
}

}  // namespace backstay::control
