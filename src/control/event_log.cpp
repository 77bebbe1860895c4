#include "control/event_log.h"

#include "core/log.h"
#include "metadata/events.h"

namespace backstay::control {

void EventLog::record(metadata::Transaction& tx, const model::Service& service, EventKind kind, std::string body,
                      std::map<std::string, std::string> attributes) {
  attributes.emplace("service.name", service.name);
  append(tx, service.team_id, service.id, kind, std::move(body), std::move(attributes));
}

void EventLog::record(metadata::Transaction& tx, std::int64_t team_id, EventKind kind, std::string body,
                      std::map<std::string, std::string> attributes) {
  append(tx, team_id, {}, kind, std::move(body), std::move(attributes));
}

void EventLog::append(metadata::Transaction& tx, std::int64_t team_id, const std::string& service_id, EventKind kind,
                      std::string body, std::map<std::string, std::string> attributes) {
  model::Event event;
  event.id = random_.uuid();
  event.team_id = team_id;
  event.service_id = service_id;
  event.name = kind.name;
  event.time = event.observed_at = clock_.now();
  event.severity = kind.severity;
  event.body = std::move(body);
  event.attributes = std::move(attributes);
  metadata::Events(tx).append(event);
  const auto level = kind.severity >= model::kSeverityError     ? core::LogLevel::kError
                     : kind.severity >= model::kSeverityWarning ? core::LogLevel::kWarning
                                                                : core::LogLevel::kInfo;
  core::log(level, kind.name, event.body, {{"team", std::to_string(team_id)}, {"service", service_id}});
}

}  // namespace backstay::control
