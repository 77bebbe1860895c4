// Switching a service over: another instance takes the place of the one that serves.
//
// The steps, each of which may be repeated after a kill:
//   wait      until nothing else works on what takes the place; its backups are cancelled
//   prepare   the new instance, still on its own port, gets the service's settings, users and passwords; checkpoints
//   fence     neither instance serves from here on, in the state first: nobody starts them; the new one is stopped,
//   then
//             the old one, so that nobody writes to either
//   exchange  one transaction: the service points at the new instance, which gets the port; the old one is kept
//   start     the new one runs; the candidate's record ends
// What fails is taken back: the old instance serves again, and if it does not start either, the reconciler goes on
// trying.
#pragma once

#include "control/service_operations.h"
#include "control/switch_plan.h"

namespace backstay::control {

OperationKind switch_kind(const WorkDependencies& deps);

/// What entering a switch-over needs; all outlive the call.
struct SwitchDependencies {
  OperationQueue& queue;
  EventLog& events;
  core::Clock& clock;
};

/// Enters the switch-over and cancels backups, and verifications of the candidate's, that are in its way: their ids are
/// to be told to the queue after the commit (OperationQueue::cancel), which is to be rung.
struct EnteredSwitch {
  model::Operation operation{};
  std::vector<std::string> cancelled{};
};
EnteredSwitch enter_switch(const SwitchDependencies& deps, metadata::Transaction& tx, model::Service& service,
                           const SwitchPlan& plan);

/// The last step of a recovery in place: the candidate takes its original's place. Returns the switch-over's id, or
/// nothing if the original cannot be switched now, which an event of it tells.
std::optional<std::string> switch_to_recovered(const WorkDependencies& deps, StepContext& context);

}  // namespace backstay::control
