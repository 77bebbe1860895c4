// When the reconciler looks at which service next.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/time.h"

namespace backstay::control {

/// For one thread.
class LookSchedule {
 public:
  void set(const std::string& service_id, core::SteadyTime at);
  /// Before everything that is merely due.
  void hurry(const std::string& service_id) { set(service_id, core::SteadyTime::min()); }
  void forget(const std::string& service_id);
  [[nodiscard]] bool has_due(core::SteadyTime now) const;
  /// Takes the one that has waited longest out of the schedule; nothing if none is due.
  std::optional<std::string> take_due(core::SteadyTime now);

 private:
  std::map<std::string, core::SteadyTime> times_;
  std::set<std::pair<core::SteadyTime, std::string>> order_;
};

}  // namespace backstay::control
