// A mutex whose use clang checks at compile time (-Wthread-safety), and the annotations for data it guards.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define BACKSTAY_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define BACKSTAY_THREAD_ATTRIBUTE(x)
#endif
#define CAPABILITY(x) BACKSTAY_THREAD_ATTRIBUTE(capability(x))
#define SCOPED_CAPABILITY BACKSTAY_THREAD_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(x) BACKSTAY_THREAD_ATTRIBUTE(guarded_by(x))
#define REQUIRES(...) BACKSTAY_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) BACKSTAY_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) BACKSTAY_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) BACKSTAY_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS BACKSTAY_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace backstay::core {

class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for a scope. Never held across I/O or a callback.
class SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~LockGuard() RELEASE() { mutex_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Mutex& mutex_;
};

/// A condition for waiting under a Mutex that the caller holds. Wait in a loop: wake-ups may be spurious.
class Condition {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) { condition_.wait(mutex); }
  /// False if the time passed first.
  template <typename Rep, typename Period>
  bool wait_for(Mutex& mutex, std::chrono::duration<Rep, Period> time) REQUIRES(mutex) {
    return condition_.wait_for(mutex, time) == std::cv_status::no_timeout;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace backstay::core
