// Writes events, in the same transaction as the change that they tell of.
#pragma once

#include <map>
#include <string>

#include "control/events.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/service.h"

namespace backstay::control {

/// Thread-safe.
class EventLog {
 public:
  EventLog(core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  void record(metadata::Transaction& tx, const model::Service& service, EventKind kind, std::string body,
              std::map<std::string, std::string> attributes = {});
  /// Of a team, about no service.
  void record(metadata::Transaction& tx, std::int64_t team_id, EventKind kind, std::string body,
              std::map<std::string, std::string> attributes = {});

 private:
  void append(metadata::Transaction& tx, std::int64_t team_id, const std::string& service_id, EventKind kind,
              std::string body, std::map<std::string, std::string> attributes);
  core::Clock& clock_;
  core::Random& random_;
};

}  // namespace backstay::control
