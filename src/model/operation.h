// An operation: one durable piece of work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/time.h"
#include "model/secrets.h"

namespace backstay::model {

enum class OperationState { kQueued, kRunning, kSucceeded, kFailed, kCancelled };

std::string_view to_text(OperationState state);
OperationState operation_state_from_text(std::string_view text);
/// Terminal states never change.
bool is_terminal(OperationState state);

struct Operation {
  std::string id{};
  /// "create", "update", "delete", "backup", "recover"...: who runs it is control's matter.
  std::string kind{};
  std::int64_t team_id = 0;
  /// Empty where the work is about no service.
  std::string service_id{};
  /// At most one operation of a lane runs at a time, in the order of enqueueing; empty for no such bound.
  std::string lane{};
  OperationState state = OperationState::kQueued;
  /// The step under way or last finished, by name, and how many there are; resuming starts from here.
  std::string step{};
  std::int64_t step_number = 0;
  std::int64_t steps = 0;
  core::json::object progress{};
  std::int64_t attempts = 0;
  core::json::object request{};
  /// Secrets that the work needs and nothing else keeps (a store's keys of a recovery). Sealed; wiped when it ends.
  Secrets secrets{};
  core::json::object result{};
  /// {"code","message","hint","nextStep"} of the last failed attempt.
  core::json::object error{};
  bool cancel_requested = false;
  /// Not to be claimed before.
  core::Timestamp not_before{};
  std::string lease_owner{};
  std::optional<core::Timestamp> lease_until{};
  core::Timestamp created_at{};
  std::optional<core::Timestamp> started_at{};
  std::optional<core::Timestamp> finished_at{};
};

}  // namespace backstay::model
