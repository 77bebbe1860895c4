// Tells those who see a service that a request about it was refused.
//
// The audit log keeps every refusal for administrators; these events are for the team. Of one service, or of one team,
// there is at most one a minute of the same call and code, so that a client that repeats itself does not push out what
// else has happened.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "control/event_log.h"
#include "control/principal.h"
#include "core/mutex.h"

namespace backstay::control {

/// A request that was refused, about the first of these that it names.
struct RefusedRequest {
  EventKind kind;
  std::string service_id{};
  std::string backup_id{};
  std::int64_t backup_number = 0;
  std::string schedule_id{};
  std::string operation_id{};
  /// For what would have been made: the team, or its slug.
  std::optional<std::int64_t> team_id{};
  std::string team_slug{};
  /// The call, by its operationId and in words.
  std::string call{};
  std::string summary{};
  std::string code{};
  /// Nothing of the request's values: everybody who sees the service reads it.
  std::string reason{};
  std::string trace_id{};
};

/// Thread-safe.
class RefusalEvents {
 public:
  static constexpr auto kPause = std::chrono::minutes(1);

  /// All outlive it.
  RefusalEvents(metadata::Database& database, core::Clock& clock, core::Random& random)
      : database_(database), clock_(clock), events_(clock, random) {}

  /// Nothing for what is not there, or not the principal's to see. Never throws for what the state answers.
  void record(const RefusedRequest& refused, const Principal& principal);

 private:
  void write(const RefusedRequest& refused, const Principal& principal);
  void write_of_team(const RefusedRequest& refused, std::int64_t team_id);
  /// True at most once in a pause.
  bool is_due(const std::string& subject, const RefusedRequest& refused);

  metadata::Database& database_;
  core::Clock& clock_;
  EventLog events_;
  core::Mutex mutex_;
  std::map<std::string, core::Timestamp> told_ GUARDED_BY(mutex_);
};

}  // namespace backstay::control
