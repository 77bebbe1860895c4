#include "simulation/turns.h"

#include <algorithm>
#include <thread>

#include "core/error.h"

namespace backstay::simulation {
namespace {

constexpr unsigned kSwitch = 250;  // per mille of the calls
constexpr unsigned kSleep = 2;
constexpr std::uint64_t kLatency = 40'000;  // microseconds at most

}  // namespace

void Turns::run(std::vector<Task> tasks) {
  {
    const core::LockGuard lock(mutex_);
    running_.clear();
    for (const Task& task : tasks) running_.push_back(task.process);
    current_ = running_.empty() ? nullptr : running_.front();
  }
  const auto perform = [this](const Task& task) {
    task.work();
    leave(*task.process);
  };
  if (tasks.size() == 1) return perform(tasks.front());
  std::vector<std::jthread> threads;
  for (const Task& task : tasks) {
    threads.emplace_back([this, &task, &perform] {
      {
        const core::LockGuard lock(mutex_);
        while (current_ != task.process) changed_.wait(mutex_);
      }
      perform(task);
    });
  }
}

bool Turns::take(Process& process) {
  if (process.unhindered) return false;
  const core::LockGuard lock(mutex_);
  if (process.dead) throw core::Error(core::Code::kCancelled, process.name + " is dead");
  while (current_ != &process) changed_.wait(mutex_);
  time_.now += core::Duration(dice_.between(500, kLatency));
  if (dice_.chance(kSleep)) time_.now += std::chrono::minutes(dice_.between(1, 3000));
  if (running_.size() > 1 && dice_.chance(kSwitch)) {
    current_ = running_[dice_.below(running_.size())];
    changed_.notify_all();
    while (current_ != &process) changed_.wait(mutex_);
  }
  if (++process.calls != process.dies_at) return false;
  if (process.dies_after) return true;
  process.dead = true;
  throw core::Error(core::Code::kCancelled, process.name + " is killed");
}

void Turns::leave(Process& process) {
  const core::LockGuard lock(mutex_);
  std::erase(running_, &process);
  if (current_ == &process) current_ = running_.empty() ? nullptr : running_[dice_.below(running_.size())];
  changed_.notify_all();
}

bool ProcessClock::wait(std::stop_token stop, core::Duration time) {
  if (process_.dead) return false;
  time_.now += time;
  return !stop.stop_requested();
}

}  // namespace backstay::simulation
