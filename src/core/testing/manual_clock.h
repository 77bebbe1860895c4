// A clock that moves only when a test moves it.
#pragma once

#include <condition_variable>
#include <mutex>

#include "core/time.h"

namespace backstay::core::testing {

/// Thread-safe. Waiters wake when `advance` passes their deadline or their stop is requested.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = parse_time("2026-01-01T00:00:00Z")) : now_(start) {}

  Timestamp now() override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  SteadyTime steady_now() override {
    const std::lock_guard lock(mutex_);
    return SteadyTime(now_.time_since_epoch());
  }
  bool wait(std::stop_token stop, Duration time) override {
    std::unique_lock lock(mutex_);
    const Timestamp deadline = now_ + time;
    return condition_.wait(lock, stop, [&] { return now_ >= deadline; });
  }
  void advance(Duration time) {
    const std::lock_guard lock(mutex_);
    now_ += time;
    condition_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any condition_;
  Timestamp now_;
};

}  // namespace backstay::core::testing
