#include "control/look_schedule.h"

namespace backstay::control {

void LookSchedule::set(const std::string& service_id, core::SteadyTime at) {
  forget(service_id);
  times_.emplace(service_id, at);
  order_.emplace(at, service_id);
}

void LookSchedule::forget(const std::string& service_id) {
  const auto found = times_.find(service_id);
  if (found == times_.end()) return;
  order_.erase({found->second, service_id});
  times_.erase(found);
}

bool LookSchedule::has_due(core::SteadyTime now) const { return !order_.empty() && order_.begin()->first <= now; }

std::optional<std::string> LookSchedule::take_due(core::SteadyTime now) {
  if (!has_due(now)) return std::nullopt;
  auto id = order_.begin()->second;
  forget(id);
  return id;
}

}  // namespace backstay::control
