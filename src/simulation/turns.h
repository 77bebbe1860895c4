// Processes that take turns: one runs at a time, and each may be stopped for good at any call that it makes.
//
// A call to the store is where a process may lose its turn, sleep for hours, or die. Who goes on is drawn from the
// seed, so that a run is the same each time, whatever threads a process has.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"

namespace backstay::simulation {

/// Draws from a seed, the same on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) { return least + below(most - least + 1); }
  bool chance(unsigned per_mille) { return below(1000) < per_mille; }
  std::uint64_t number() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

/// What a killed process does has no effect any more; its calls fail with cancelled, so that its objects can go.
struct Process {
  std::string name = {};
  std::uint64_t calls = 0;
  /// It is killed at this call: before it, or with `after` when the call has had its effect and the answer is lost.
  std::optional<std::uint64_t> dies_at = {};
  bool dies_after = false;
  bool dead = false;
  /// It looks on: it takes no turns, and costs no time.
  bool unhindered = false;
  /// Its clock is wrong by this.
  core::Duration clock_error{};
};

/// The time that is; each process has its own idea of it.
struct Time {
  core::Timestamp now = core::parse_time("2026-01-01T00:00:00Z");
  core::Duration store_error{};
};

class Turns {
 public:
  Turns(Dice& dice, Time& time) : dice_(dice), time_(time) {}

  struct Task {
    Process* process = nullptr;
    std::function<void()> work = {};
  };
  /// Runs the tasks beside each other until all have ended. They do not throw.
  void run(std::vector<Task> tasks);

  /// To be called by a process before each of its calls: waits for its turn. Throws cancelled if it is dead or dies
  /// now; true if it is to die after this call.
  bool take(Process& process);

 private:
  void leave(Process& process);

  Dice& dice_;
  Time& time_;
  core::Mutex mutex_;
  core::Condition changed_;
  std::vector<Process*> running_ GUARDED_BY(mutex_);
  Process* current_ GUARDED_BY(mutex_) = nullptr;
};

/// The clock of a process. Who waits lets the time pass for all.
class ProcessClock final : public core::Clock {
 public:
  ProcessClock(Time& time, const Process& process) : time_(time), process_(process) {}
  core::Timestamp now() override { return time_.now + process_.clock_error; }
  core::SteadyTime steady_now() override { return core::SteadyTime(time_.now.time_since_epoch()); }
  bool wait(std::stop_token stop, core::Duration time) override;

 private:
  Time& time_;
  const Process& process_;
};

}  // namespace backstay::simulation
