// A bounded queue between stages: back-pressure and a memory ceiling in one.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "core/mutex.h"

namespace backstay::core {

/// Any number of producers and consumers. `close` ends the stream: consumers drain what is there, then get nothing.
/// `abort` drops what is queued and releases everybody at once.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// Waits for room. False if the queue is closed or aborted; the item is then dropped.
  bool push(T item) {
    const LockGuard lock(mutex_);
    while (items_.size() >= capacity_ && !closed_) changed_.wait(mutex_);
    if (closed_) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }

  /// Waits for an item. Nothing if the queue is closed and empty, or aborted.
  std::optional<T> pop() {
    const LockGuard lock(mutex_);
    while (items_.empty() && !closed_) changed_.wait(mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

  void close() {
    const LockGuard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  void abort() {
    const LockGuard lock(mutex_);
    closed_ = true;
    items_.clear();
    changed_.notify_all();
  }

 private:
  const std::size_t capacity_;
  Mutex mutex_;
  Condition changed_;
  std::deque<T> items_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace backstay::core
