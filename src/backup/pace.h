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
  /// What to pause for, at this reading of the thread's times: no less than `least` times what it ran.
  core::Duration pause_at(const ThreadTimes& now, double least = 0);

 private:
  ThreadTimes last_{};
  double multiple_ = 0;
};

/// What all processors of the machine did since it started, in the kernel's ticks.
struct MachineTimes {
  std::uint64_t idle = 0;
  std::uint64_t total = 0;
};
/// Zeros where the kernel does not tell.
MachineTimes machine_times();

/// The rule for all threads together, while the database is busy: some of the machine is left idle, so that whoever
/// wakes finds a processor at once. Begins slowly.
class ReserveRule {
 public:
  /// The least multiple of what a thread ran that it pauses for, at this reading.
  double multiple_at(const MachineTimes& now);

 private:
  MachineTimes last_{};
  double multiple_ = 0;
};

/// Full speed while the database has nothing to do, whatever else the machine does. Once clients keep it busy, threads
/// that copy get of processor and disk what nobody else wants, to their end, and pause where they had to wait all the
/// same or nearly nothing of the machine is left idle: schedulers that share out by session or by control group know of
/// no priorities between these.
class Pace {
 public:
  explicit Pace(core::Clock& clock) : clock_(clock) {}

  /// Asks the server whether clients keep it busy; it is for some seconds after. Call it a few times a second. One
  /// thread.
  void look(postgres::Connection& connection);
  /// Called by each thread that copies, between two pieces: gives way if the database is busy. The thread should end
  /// with the copy.
  void make_way(const std::stop_token& stop);

 private:
  core::Clock& clock_;
  std::atomic<bool> busy_{false};
  std::atomic<double> least_{0};
  // Of the thread that looks.
  core::SteadyTime looked_{};
  core::SteadyTime seen_busy_{};
  ReserveRule reserve_;
  std::int64_t transactions_ = 0;
};

}  // namespace backstay::backup
