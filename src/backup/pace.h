// How a copy makes way for the database that it copies, where both want the same processors.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>

#include "core/time.h"

namespace backstay::postgres {
class Connection;
}

namespace backstay::backup {

/// How long a thread has run, and how long it waited for a processor while it could have.
struct ThreadTimes {
  std::chrono::nanoseconds ran{};
  std::chrono::nanoseconds waited{};
};
/// Of the calling thread; zeros where the kernel does not tell.
ThreadTimes thread_times();

/// The rule for one thread: who had to wait for a processor took one that somebody else wanted, and pauses for a
/// multiple of what it ran. The multiple grows as long as there is waiting, and shrinks when there is none.
class PaceRule {
 public:
  /// What to pause for, at this reading of the thread's times.
  core::Duration pause_at(const ThreadTimes& now);

 private:
  ThreadTimes last_{};
  double multiple_ = 0;
};

/// Full speed while the database has nothing to do, whatever else the machine does.
class Pace {
 public:
  explicit Pace(core::Clock& clock) : clock_(clock) {}

  /// Asks the server, once a second at most, whether clients keep it busy. One thread.
  void look(postgres::Connection& connection);
  /// Called by each thread that copies, between two pieces: pauses if the database is busy and the machine short.
  void make_way(const std::stop_token& stop);

 private:
  core::Clock& clock_;
  std::atomic<bool> busy_{false};
  // Of the thread that looks.
  core::SteadyTime looked_{};
  std::int64_t transactions_ = 0;
};

}  // namespace backstay::backup
