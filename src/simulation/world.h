// A world from one seed: a server that works, backups of it, their removal, and everything that goes wrong meanwhile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/backup_run.h"
#include "simulation/oracle.h"
#include "simulation/receiver.h"
#include "simulation/simulated_disk.h"

namespace backstay::simulation {

struct Report {
  /// What happened, a line a step.
  std::vector<std::string> steps = {};
  /// The promise that was broken; empty if none was.
  std::string broken = {};
  std::uint64_t requests = 0;
  std::uint64_t backups = 0;
  std::uint64_t deaths = 0;
  /// Backups that went by the map of changed pages, and stretches of WAL that were let go of.
  std::uint64_t by_map = 0;
  std::uint64_t gaps = 0;
};

/// A killing that a test wants: at this request of all that processes make, counted from 1.
struct Kill {
  std::uint64_t at = 0;
  bool after = false;
};

class World {
 public:
  /// `place` is an empty directory.
  World(std::uint64_t seed, std::filesystem::path place);
  ~World();

  /// A random history, then peace: everything must come to its end.
  Report run();

 private:
  using Task = Turns::Task;
  void choose_faults();
  void set_up();
  void turn();
  void advance();
  void let_clocks_jump();
  void run_tasks(std::vector<Task> tasks);
  Task task(Actor& actor, std::string what, std::function<void()> work);
  void begin_backup();
  void clear_ended();
  [[nodiscard]] bool in_rush() const { return outside_.time.now < rush_until_; }
  std::vector<Task> choose_tasks();
  Task stream_wal(std::uint64_t bytes);
  Task continue_backup(BackupRun& run);
  Task confirm();
  Task prune();
  Task retain();
  Actor& helper(const std::string& name);
  void check(const char* when);
  void check_nothing_left();
  void make_peace();
  void finish_all_work();
  void collect_garbage();
  void remove_everything();
  void say(std::string what);
  template <typename Work>
  void work_alone(const std::string& name, Work work);

  const std::uint64_t seed_;
  Outside outside_;
  /// Where the receivers have their spool.
  SimulatedDisk disk_;
  unsigned disk_fails_ = 0;
  Report report_;
  FaultRates rates_;
  unsigned kill_rate_ = 0;
  /// How often the receiver lets WAL go, per mille of its steps.
  unsigned gap_rate_ = 0;
  bool store_clock_wrong_ = false;
  bool clocks_wrong_ = false;
  /// Everything follows within minutes.
  bool hurry_ = false;
  /// So long everything follows within seconds: an attempt was killed at its end, and the next one is to be there
  /// before what the dead one has sent.
  core::Timestamp rush_until_ = {};
  bool peace_ = false;
  core::Duration grace_{};
  std::unique_ptr<ModelServer> server_;
  std::unique_ptr<Oracle> oracle_;
  std::unique_ptr<Receiver> receiver_;
  std::uint64_t epoch_ = 0;
  std::vector<std::unique_ptr<BackupRun>> backups_;
  /// Backups whose last attempt failed and that may be tried again.
  std::vector<std::pair<std::string, std::int64_t>> failed_;
  /// Backups of which no attempt will follow.
  std::set<std::string> ended_;
  std::vector<std::unique_ptr<Actor>> helpers_;
};

}  // namespace backstay::simulation
