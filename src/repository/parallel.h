// Private to repository: doing the same to many objects with a few threads.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "core/mutex.h"

namespace backstay::repository::detail {

/// Calls work(i) for every i below `count` on at most `threads` threads and waits; then throws the first error, after
/// which no further call was begun.
template <typename Work>
void parallel_each(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  core::Mutex mutex;
  std::exception_ptr error;
  const auto run = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      next = count;
      const core::LockGuard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> pool;
    for (std::size_t i = 1; i < std::min<std::size_t>(threads, count); ++i) pool.emplace_back(run);
    run();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace backstay::repository::detail
