#include "backup/parallel.h"

#include <chrono>
#include <exception>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/mutex.h"

namespace backstay::backup {
namespace {

constexpr auto kTick = std::chrono::milliseconds(250);

struct Shared {
  core::Mutex mutex;
  core::Condition ended;
  unsigned running GUARDED_BY(mutex) = 0;
  std::exception_ptr error GUARDED_BY(mutex);
  std::stop_source stop;

  void fail(std::exception_ptr exception) EXCLUDES(mutex) {
    const core::LockGuard lock(mutex);
    if (!error) error = std::move(exception);
    stop.request_stop();
  }
  void run(const std::function<void(std::stop_token)>& work) EXCLUDES(mutex) {
    try {
      work(stop.get_token());
    } catch (...) {
      fail(std::current_exception());
    }
    const core::LockGuard lock(mutex);
    --running;
    ended.notify_all();
  }
  /// False when all have ended.
  bool wait() EXCLUDES(mutex) {
    const core::LockGuard lock(mutex);
    if (running > 0) ended.wait_for(mutex, kTick);
    return running > 0;
  }
};

}  // namespace

void run_parallel(unsigned workers, std::stop_token stop, const std::function<void(std::stop_token)>& work,
                  const std::function<void()>& tick) {
  Shared shared;
  {
    const core::LockGuard lock(shared.mutex);
    shared.running = workers;
  }
  {
    const std::stop_callback forward(stop, [&] { shared.stop.request_stop(); });
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < workers; ++i) threads.emplace_back([&] { shared.run(work); });
    while (shared.wait()) {
      try {
        tick();
      } catch (...) {
        shared.fail(std::current_exception());
      }
    }
  }
  const core::LockGuard lock(shared.mutex);
  if (shared.error) std::rethrow_exception(shared.error);
  if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the work was stopped");
}

}  // namespace backstay::backup
