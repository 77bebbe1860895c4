#include "control/operation_feed.h"

#include <condition_variable>

namespace backstay::control {

void OperationFeed::notify(const std::string& operation_id) {
  const core::LockGuard lock(mutex_);
  versions_[operation_id] = next_++;
  changed_.notify_all();
}

std::uint64_t OperationFeed::version(const std::string& operation_id) const {
  const core::LockGuard lock(mutex_);
  const auto found = versions_.find(operation_id);
  return found == versions_.end() ? 0 : found->second;
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
    const auto found = versions_.find(operation_id);
    const std::uint64_t version = found == versions_.end() ? 0 : found->second;
    const auto left = deadline - std::chrono::steady_clock::now();
    if (version != seen || stop.stop_requested() || left <= left.zero()) return version;
    changed_.wait_for(mutex_, left);
  }
}

void OperationFeed::forget(const std::string& operation_id) {
  const core::LockGuard lock(mutex_);
  versions_.erase(operation_id);
}

}  // namespace backstay::control
