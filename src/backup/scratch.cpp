#include "backup/scratch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/random.h"
#include "core/text.h"
#include "os/file_system.h"

namespace backstay::backup {

bool ScratchClaims::take(std::uint64_t needed, std::uint64_t room) {
  const core::LockGuard lock(mutex_);
  if (room < claimed_ || room - claimed_ < needed) return false;
  claimed_ += needed;
  return true;
}

void ScratchClaims::give_back(std::uint64_t bytes) {
  const core::LockGuard lock(mutex_);
  claimed_ -= bytes;
}

ScratchDirectory::ScratchDirectory(const Environment& environment, ScratchSpace space, std::uint64_t needed,
                                   const std::optional<os::Identity>& owner)
    : files_(environment.files),
      space_(std::move(space)),
      path_(space_.parent / environment.random.uuid()),
      needed_(needed),
      claimed_(needed) {
  files_.make_directories(space_.parent, kScratchParentMode);
  const std::uint64_t free = files_.free_space(space_.parent);
  if (free < space_.reserve || !space_.claims->take(needed, free - space_.reserve)) throw full(needed, free);
  try {
    files_.make_directories(path_, 0700);
    if (owner) files_.set_owner(path_, owner->uid, owner->gid);
  } catch (...) {
    space_.claims->give_back(needed);
    throw;
  }
}

ScratchDirectory::~ScratchDirectory() {
  space_.claims->give_back(claimed_);
  try {
    files_.remove_all(path_);
  } catch (const core::Error& error) {
    core::log_warning("scratch.not_removed", "a scratch directory stays until the next start",
                      {{"path", path_.string()}, {"error", error.message()}});
  }
}

core::Error ScratchDirectory::full(std::uint64_t needed, std::uint64_t free) const {
  return core::Error(
             core::Code::kDiskFull,
             fmt::format("{} needs {} of room in '{}', where {} are free, {} must stay so, and others need their part",
                         space_.what, core::format_bytes(needed), space_.parent.string(), core::format_bytes(free),
                         core::format_bytes(space_.reserve)))
      .with_hint(space_.hint);
}

void ScratchDirectory::check_room(std::uint64_t done) {
  const std::uint64_t needed = needed_ - std::min(needed_, done);
  if (needed < claimed_) {
    space_.claims->give_back(claimed_ - needed);
    claimed_ = needed;
  }
  const std::uint64_t free = files_.free_space(space_.parent);
  if (free >= space_.reserve) return;
  throw core::Error(
      core::Code::kDiskFull,
      fmt::format("{} was given up: '{}' has {} left, and {} must stay free for the databases", space_.what,
                  space_.parent.string(), core::format_bytes(free), core::format_bytes(space_.reserve)))
      .with_hint(space_.hint);
}

void clear_scratch(os::FileSystem& files, const std::filesystem::path& parent) {
  if (!files.stat(parent)) return;
  for (const auto& entry : files.list(parent)) {
    files.remove_all(parent / entry.name);
    core::log_info("scratch.cleared", "what unfinished work left was removed",
                   {{"path", (parent / entry.name).string()}});
  }
}

}  // namespace backstay::backup
