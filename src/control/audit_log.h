// Keeps who did what: every request that would change something, refused ones too.
//
// A request is answered when its entry is in the state. Entries are written by a thread of their own, many in one
// transaction, and none makes its request fail: while the state takes no writes, a request waits for a second at most
// and its entry for as long as it takes. Each is a line of the server's log first. What a request did is in the
// state before either: a kill between the two, before the answer was sent, leaves the deed without its entry.
#pragma once

#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "core/mutex.h"
#include "metadata/database.h"
#include "model/audit.h"

namespace backstay::control {

/// Thread-safe.
class AuditLog {
 public:
  /// How long a request waits for its entry.
  static constexpr auto kPatience = std::chrono::seconds(1);
  /// Entries that wait for the state; what comes beyond is in the server's log only, which says so.
  static constexpr std::size_t kMostWaiting = 10'000;

  /// The database outlives it.
  explicit AuditLog(metadata::Database& database);
  /// Writes what waits, if the state takes it.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  /// Never throws for what the state answers.
  void record(const model::AuditEntry& entry);

 private:
  void write(const std::stop_token& stop);
  /// False if the state did not take them.
  bool written(const std::deque<model::AuditEntry>& entries);
  /// Waits for entries; those that there are, in their order.
  std::deque<model::AuditEntry> next(const std::stop_token& stop);

  metadata::Database& database_;
  core::Mutex mutex_;
  core::Condition changed_;
  std::deque<model::AuditEntry> waiting_ GUARDED_BY(mutex_);
  /// How many were ever taken in, and how many of them are in the state.
  std::uint64_t taken_ GUARDED_BY(mutex_) = 0;
  std::uint64_t written_ GUARDED_BY(mutex_) = 0;
  std::jthread writer_;
};

}  // namespace backstay::control
