#include "model/event.h"

#include <fmt/format.h>

namespace backstay::model {

core::json::object log_record(const Event& event) {
  core::json::object attributes;
  for (const auto& [key, value] : event.attributes) attributes[key] = value;
  const std::string resource = event.service_id.empty() ? fmt::format("teams/{}", event.team_id)
                                                        : fmt::format("managed-services/{}", event.service_id);
  return {{"eventName", event.name},
          {"timestamp", core::format_time(event.time)},
          {"observedTimestamp", core::format_time(event.observed_at)},
          {"severityNumber", event.severity},
          {"body", event.body},
          {"resource", resource},
          {"attributes", std::move(attributes)}};
}

core::json::object to_json(const Event& event) {
  auto object = log_record(event);
  object["id"] = event.id;
  object["sequence"] = event.sequence;
  object["teamId"] = event.team_id;
  if (!event.service_id.empty()) object["serviceId"] = event.service_id;
  return object;
}

}  // namespace backstay::model
