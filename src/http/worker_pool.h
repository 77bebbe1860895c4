// Threads that run handlers.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "core/mutex.h"

namespace backstay::http {

class WorkerPool {
 public:
  WorkerPool(unsigned workers, std::size_t max_queued);
  /// Like stop.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Hands a task over, which must not throw; false if the queue is full or the pool stops. Never waits.
  bool try_submit(std::function<void()> task);
  /// Drops what is queued and waits for what runs.
  void stop();

 private:
  void run();

  const std::size_t max_queued_;
  core::Mutex mutex_;
  core::Condition changed_;
  std::deque<std::function<void()>> tasks_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace backstay::http
