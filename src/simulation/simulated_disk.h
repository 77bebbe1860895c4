// A disk below a directory, as far as the process can tell: it gets full, it fails, and the power goes.
//
// The calls of the system that write are wrapped where simulation_tests is linked (cmake/module.cmake). What was not
// synced may be there after a loss of power, or not, or in part: of a file any of its sectors, of a directory any of
// its names.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "os/file.h"
#include "simulation/turns.h"

namespace backstay::simulation {

/// One at a time; for one thread.
class SimulatedDisk {
 public:
  /// `place` is a directory of its own; the disk's root is made in it.
  SimulatedDisk(Dice& dice, std::filesystem::path place);
  ~SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  /// Changes with each loss of power.
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  /// The process is killed at this call from now, 1 being the next.
  void die_at(std::uint64_t call) { dies_in_ = call; }
  /// How often a call fails, per mille: with EIO, or with ENOSPC where it needs room.
  void fail(unsigned per_mille) { fails_ = per_mille; }
  [[nodiscard]] bool dead() const { return dead_; }
  /// The power goes and comes back: everybody who had files open is gone.
  void lose_power();

  /// For the wrapped calls: what to answer instead of doing it, as errno; 0 to do it.
  int fault(bool needs_room);
  [[nodiscard]] bool holds(const char* path) const;
  [[nodiscard]] bool holds(int fd) const;
  void opened(int fd);
  void synced(int fd);

 private:
  using Names = std::map<std::string, ino_t>;
  static Names names_of(const std::filesystem::path& directory);
  void keep_open(const std::filesystem::path& path);
  core::Bytes after_loss(ino_t file, int fd);
  void rebuild(const std::filesystem::path& from, const std::filesystem::path& to);

  Dice& dice_;
  const std::filesystem::path place_;
  std::filesystem::path root_;
  std::uint64_t losses_ = 0;
  std::optional<std::uint64_t> dies_in_;
  unsigned fails_ = 0;
  bool dead_ = false;
  /// Every file and directory that was made, so that no number is used twice.
  std::map<ino_t, os::Descriptor> known_;
  std::map<ino_t, core::Bytes> durable_content_;
  std::map<ino_t, Names> durable_names_;
};

}  // namespace backstay::simulation
