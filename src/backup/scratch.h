// Room for a dump on its way: a directory below the state directory, checked before and watched meanwhile.
//
// The databases live on the same disk more often than not: a dump must never be what fills it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "backup/environment.h"
#include "core/error.h"
#include "core/mutex.h"
#include "os/process.h"

namespace backstay::backup {

/// Programs under other users pass through to their own directory, whose name is not to be guessed.
inline constexpr mode_t kScratchParentMode = 0711;

/// What the directories of one disk still need, so that none is promised what another one will take. Thread-safe.
class ScratchClaims {
 public:
  /// False if `needed` bytes do not fit into `room` beside what others need.
  bool take(std::uint64_t needed, std::uint64_t room);
  void give_back(std::uint64_t bytes);

 private:
  core::Mutex mutex_;
  std::uint64_t claimed_ GUARDED_BY(mutex_) = 0;
};

struct ScratchSpace {
  /// Where the directories are made; nothing else may be in it.
  std::filesystem::path parent = {};
  /// What always stays free on that disk.
  std::uint64_t reserve = std::uint64_t{512} << 20;
  /// Who needs it, and what to do where there is none, for people.
  std::string what = "a dump";
  std::string hint = "make room on that disk, or use physical backups, which need none";
  /// Of all who work there.
  std::shared_ptr<ScratchClaims> claims = std::make_shared<ScratchClaims>();
};

/// One directory of its own, gone with everything in it when this goes. What a crash leaves, clear_scratch removes.
class ScratchDirectory {
 public:
  /// Throws Error(disk_full) unless `needed` bytes fit beside the reserve and what others need. `owner`: whose programs
  /// write there.
  ScratchDirectory(const Environment& environment, ScratchSpace space, std::uint64_t needed,
                   const std::optional<os::Identity>& owner);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Throws Error(disk_full) when the reserve is touched. `done`: how many of the bytes are no longer to be written.
  void check_room(std::uint64_t done);

 private:
  [[nodiscard]] core::Error full(std::uint64_t needed, std::uint64_t free) const;

  os::FileSystem& files_;
  const ScratchSpace space_;
  const std::filesystem::path path_;
  const std::uint64_t needed_;
  std::uint64_t claimed_;
};

/// Removes what a process that was killed left there. Only while nobody works there.
void clear_scratch(os::FileSystem& files, const std::filesystem::path& parent);

}  // namespace backstay::backup
