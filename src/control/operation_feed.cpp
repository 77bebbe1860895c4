#include "control/operation_feed.h"

#include <condition_variable>

namespace backstay::control {

void OperationFeed::notify(const std::string& operation_id) {
  const core::LockGuard lock(mutex_);
  if (versions_.size() >= kMostRemembered) {
    versions_.clear();
    forgotten_ = next_ - 1;
  }
  versions_[operation_id] = next_++;
  changed_.notify_all();
}

std::uint64_t OperationFeed::version(const std::string& operation_id) const {
  const core::LockGuard lock(mutex_);
  return known(operation_id);
}

std::uint64_t OperationFeed::known(const std::string& operation_id) const {
  const auto found = versions_.find(operation_id);
  return found == versions_.end() ? forgotten_ : found->second;
}

std::uint64_t OperationFeed::wait(const std::string& operation_id, std::uint64_t seen, std::stop_token stop,
                                  core::Duration at_most) const {
  const std::stop_callback wake(stop, [this] {
    const core::LockGuard lock(mutex_);
    changed_.notify_all();
  });
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  const core::LockGuard lock(mutex_);
  for (;;) {
    const std::uint64_t version = known(operation_id);
    const auto left = deadline - std::chrono::steady_clock::now();
    if (version != seen || stop.stop_requested() || left <= left.zero()) return version;
    changed_.wait_for(mutex_, left);
  }
}

}  // namespace backstay::control
