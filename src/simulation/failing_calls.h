// Calls of the system below a directory that fail, or after which nothing is done any more; and whether what must be on
// the disk before something else was sent there. For any thread. The calls are wrapped as those of SimulatedDisk are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/mutex.h"
#include "simulation/turns.h"

namespace backstay::simulation {

/// One at a time.
class FailingCalls {
 public:
  /// `last`: how the name of the file ends that is put in place when everything else is on the disk.
  FailingCalls(Dice& dice, const std::filesystem::path& root, std::string last);
  ~FailingCalls();
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;

  /// From this call on, 1 being the first, nothing is done any more.
  void die_at(std::uint64_t call);
  /// This call alone fails, because there is no room or the disk is broken.
  void fail_at(std::uint64_t call);
  [[nodiscard]] std::uint64_t calls() const;
  /// The last file was put in place while others were not on the disk yet.
  [[nodiscard]] bool was_early() const;

  /// For the wrapped calls: errno instead of doing it, or 0. `path` is of what is written.
  static int before_write(const std::string& path);
  static int before_sync(const std::string& path, bool everything);
  static int before_rename(const std::string& from, const std::string& to);
  static std::string path_of(int fd);

 private:
  int count(const std::string& path) REQUIRES(mutex_);

  mutable core::Mutex mutex_;
  Dice& dice_ GUARDED_BY(mutex_);
  const std::string root_;
  const std::string last_;
  std::uint64_t calls_ GUARDED_BY(mutex_) = 0;
  std::uint64_t dies_at_ GUARDED_BY(mutex_) = 0;
  std::uint64_t fails_at_ GUARDED_BY(mutex_) = 0;
  /// Written and not synced: the last file itself, and others.
  bool last_unsynced_ GUARDED_BY(mutex_) = false;
  bool unsynced_ GUARDED_BY(mutex_) = false;
  bool early_ GUARDED_BY(mutex_) = false;
};

}  // namespace backstay::simulation
