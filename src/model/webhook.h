// Who is told of a team's events over HTTP, and what became of each message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.h"
#include "core/time.h"

namespace backstay::model {

struct Webhook {
  std::string id{};
  /// 0: of the operator, told of every team's events.
  std::int64_t team_id = 0;
  std::string name{};
  std::string url{};
  /// Names of events, or "backup.*"; empty: all.
  std::vector<std::string> events{};
  /// "whsec_" and base64.
  core::Secret secret{};
  bool enabled = true;
  /// Why it was disabled by itself.
  std::string disabled_reason{};
  /// Since when nothing has been taken; nothing while the last message was.
  std::optional<core::Timestamp> failing_since{};
  /// Events up to this sequence number are not sent.
  std::int64_t after_sequence = 0;
  core::Timestamp created_at{};
};

enum class DeliveryState { kPending, kDelivered, kFailed };
std::string_view to_text(DeliveryState state);
DeliveryState delivery_state_from_text(std::string_view text);

/// One message to one webhook.
struct Delivery {
  std::string id{};
  /// Position in the log, given when it is inserted.
  std::int64_t sequence = 0;
  std::string webhook_id{};
  std::int64_t team_id = 0;
  /// Empty for a test.
  std::string event_id{};
  std::string event_name{};
  /// What is sent.
  std::string body{};
  DeliveryState state = DeliveryState::kPending;
  std::int64_t attempts = 0;
  /// When the next attempt is due, while pending.
  core::Timestamp next_at{};
  core::Timestamp created_at{};
  std::optional<core::Timestamp> finished_at{};
  /// Of the last attempt: the answer's status, 0 without one, and what was wrong.
  std::int64_t last_status = 0;
  std::string last_error{};
};

}  // namespace backstay::model
