#include "control/operation_queue.h"

#include <condition_variable>

#include "metadata/operations.h"

namespace backstay::control {

model::Operation OperationQueue::enqueue(metadata::Transaction& tx, const NewOperation& wanted) {
  model::Operation operation;
  operation.id = random_.uuid();
  operation.kind = wanted.kind;
  operation.team_id = wanted.team_id;
  operation.service_id = wanted.service_id;
  operation.lane = wanted.lane.empty() ? wanted.service_id : wanted.lane;
  operation.request = wanted.request;
  operation.secrets = wanted.secrets;
  operation.created_at = clock_.now();
  operation.not_before = wanted.not_before.value_or(operation.created_at);
  metadata::Operations(tx).enqueue(operation);
  return operation;
}

void OperationQueue::ring() {
  const core::LockGuard lock(mutex_);
  ++rings_;
  rung_.notify_all();
}

void OperationQueue::wait(std::stop_token stop, std::uint64_t& heard, core::Duration at_most) {
  const std::stop_callback wake(stop, [this] {
    const core::LockGuard lock(mutex_);
    rung_.notify_all();
  });
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  const core::LockGuard lock(mutex_);
  for (;;) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (rings_ != heard || stop.stop_requested() || left <= left.zero()) break;
    rung_.wait_for(mutex_, left);
  }
  heard = rings_;
}

void OperationQueue::on_cancel(const std::string& operation_id, std::function<void()> callback) {
  const core::LockGuard lock(mutex_);
  cancels_[operation_id] = std::move(callback);
}

void OperationQueue::forget(const std::string& operation_id) {
  const core::LockGuard lock(mutex_);
  cancels_.erase(operation_id);
}

void OperationQueue::cancel(const std::string& operation_id) {
  std::function<void()> callback;
  {
    const core::LockGuard lock(mutex_);
    const auto found = cancels_.find(operation_id);
    if (found == cancels_.end()) return;
    callback = found->second;
  }
  callback();
}

}  // namespace backstay::control
