#include "providers/away_archives.h"

namespace backstay::providers {

void AwayArchives::note(const std::string& instance_id, const core::Error& error, std::uint64_t kept) {
  const core::LockGuard lock(mutex_);
  auto& away = away_.try_emplace(instance_id, Away{clock_.steady_now(), {}, 0}).first->second;
  away.error = error.message() + "; " + error.hint();
  away.kept = kept;
}

void AwayArchives::forget(const std::string& instance_id) {
  const core::LockGuard lock(mutex_);
  away_.erase(instance_id);
}

std::optional<control::AtRisk> AwayArchives::at_risk(const std::string& instance_id) const {
  const core::LockGuard lock(mutex_);
  const auto found = away_.find(instance_id);
  if (found == away_.end()) return std::nullopt;
  control::AtRisk risk;
  risk.bytes = found->second.kept;
  risk.time = std::chrono::duration_cast<core::Duration>(clock_.steady_now() - found->second.since);
  risk.store_reachable = false;
  risk.last_error = found->second.error;
  return risk;
}

}  // namespace backstay::providers
