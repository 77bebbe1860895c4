// An event: what happened, for people, shaped like an OpenTelemetry log record.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/json.h"
#include "core/time.h"

namespace backstay::model {

/// OpenTelemetry's severity numbers; each level has four, the first is the usual one.
inline constexpr int kSeverityDebug = 5;
inline constexpr int kSeverityInfo = 9;
inline constexpr int kSeverityWarning = 13;
inline constexpr int kSeverityError = 17;

struct Event {
  std::string id{};
  /// Position in the log, given when the event is appended; the cursor of listings.
  std::int64_t sequence = 0;
  std::int64_t team_id = 0;
  /// Empty for an event that is about no service.
  std::string service_id{};
  /// Stable, dotted: "backup.stored".
  std::string name{};
  core::Timestamp time{};
  core::Timestamp observed_at{};
  int severity = kSeverityInfo;
  /// One sentence; what happened, what it means, what to do.
  std::string body{};
  std::map<std::string, std::string> attributes{};
};

/// The log-record shape of a service's recentEvents.
core::json::object log_record(const Event& event);
/// The same with id, sequence, teamId and serviceId: what the API lists and webhooks are sent.
core::json::object to_json(const Event& event);

}  // namespace backstay::model
