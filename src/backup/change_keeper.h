// Keeps the map of changed pages that a receiver makes as it parses: in memory while it grows, then in the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "backup/change_tracker.h"
#include "backup/environment.h"
#include "core/mutex.h"
#include "core/time.h"
#include "repository/repository.h"

namespace backstay::backup {

/// One thread parses (tracker() and look()); any thread stores. With the store away the map stays here, in one piece:
/// it grows with what changes, not with time.
class ChangeKeeper {
 public:
  /// Everything outlives it. `epoch` is that of the receiver's lease.
  ChangeKeeper(const Environment& environment, repository::Repository& repository, std::string instance,
               std::uint64_t segment_size, std::uint64_t epoch);

  [[nodiscard]] ChangeTracker& tracker() { return tracker_; }
  /// After every piece that was parsed: hands over what is to be stored, if it is enough or wanted.
  void look() EXCLUDES(mutex_);
  /// All that there is.
  void cut() EXCLUDES(mutex_);

  /// The parsing thread: what the store does not have of all that was cut.
  [[nodiscard]] std::vector<ChangedStretch> held() const EXCLUDES(mutex_);
  /// What an earlier keeper held.
  void restore(std::vector<ChangedStretch> stretches) EXCLUDES(mutex_);
  /// True if there is something of records that begin before `lsn`, and was cut.
  [[nodiscard]] bool holds(postgres::Lsn lsn) const EXCLUDES(mutex_);

  /// Stores what was handed over. False if the store failed: later calls try again, after a while unless `at_once`.
  bool put(bool at_once) EXCLUDES(mutex_);
  /// Waits until everything that begins before `lsn` was parsed, and stores it. False if the deadline or the stop came
  /// first, or the store failed.
  bool store(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop) EXCLUDES(mutex_);
  [[nodiscard]] std::uint64_t stored() const { return stored_; }

 private:
  void hand_over(ChangedStretch stretch) REQUIRES(mutex_);
  [[nodiscard]] bool is_pending(postgres::Lsn lsn) const REQUIRES(mutex_);

  const Environment environment_;
  repository::Repository& repository_;
  const std::string instance_;
  const std::uint64_t segment_size_;
  const std::uint64_t epoch_;
  /// The parsing thread's own.
  ChangeTracker tracker_;
  std::uint64_t looked_at_ = 0;

  std::atomic<std::uint64_t> wanted_ = 0;  // cut as soon as the tracker has reached it
  std::atomic<std::uint64_t> stored_ = 0;
  mutable core::Mutex mutex_;
  core::Condition changed_;
  /// The first may be on its way, so it stays as it is; shared with whoever puts it.
  std::deque<std::shared_ptr<ChangedStretch>> pending_ GUARDED_BY(mutex_);
  postgres::Lsn cut_at_ GUARDED_BY(mutex_);
  /// One puts at a time.
  std::mutex put_mutex_;
  core::SteadyTime retry_at_;  // under put_mutex_
};

}  // namespace backstay::backup
