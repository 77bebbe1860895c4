#include "simulation/simulated_disk.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "simulation/failing_calls.h"

namespace backstay::simulation {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSector = 512;

SimulatedDisk* active = nullptr;  // the calls of the system belong to nobody

ino_t number_of(int fd) {
  struct stat info{};
  ::fstat(fd, &info);
  return info.st_ino;
}

ino_t number_of(const fs::path& path) {
  struct stat info{};
  ::lstat(path.c_str(), &info);
  return info.st_ino;
}

core::Bytes content_of(int fd) {
  core::Bytes bytes(os::file_size(fd));
  bytes.resize(os::read_at(fd, 0, bytes));
  return bytes;
}

std::string path_of(int fd) {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path.data(), path.size());
  return {path.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

}  // namespace

SimulatedDisk::SimulatedDisk(Dice& dice, fs::path place)
    : dice_(dice), place_(std::move(place)), root_(place_ / "disk") {
  fs::create_directory(root_);
  keep_open(root_);
  active = this;
}

SimulatedDisk::~SimulatedDisk() { active = nullptr; }

int SimulatedDisk::fault(bool needs_room) {
  if (dies_in_ && --*dies_in_ == 0) dead_ = true;
  if (dead_) return EIO;
  if (!dice_.chance(fails_)) return 0;
  return needs_room && dice_.chance(500) ? ENOSPC : EIO;
}

bool SimulatedDisk::holds(const char* path) const { return std::string_view(path).starts_with(root_.native()); }
bool SimulatedDisk::holds(int fd) const { return known_.contains(number_of(fd)); }

void SimulatedDisk::keep_open(const fs::path& path) { opened(os::open_file(path, O_RDONLY).get()); }

void SimulatedDisk::opened(int fd) {
  known_.try_emplace(number_of(fd), ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
}

SimulatedDisk::Names SimulatedDisk::names_of(const fs::path& directory) {
  Names names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names[entry.path().filename()] = number_of(entry.path());
  }
  return names;
}

void SimulatedDisk::synced(int fd) {
  struct stat info{};
  ::fstat(fd, &info);
  if (S_ISDIR(info.st_mode)) {
    durable_names_[info.st_ino] = names_of(path_of(fd));
  } else {
    durable_content_[info.st_ino] = content_of(known_.at(info.st_ino).get());
  }
}

core::Bytes SimulatedDisk::after_loss(ino_t file, int fd) {
  const core::Bytes now = content_of(fd);
  core::Bytes kept = durable_content_[file];
  if (core::as_text(now) == core::as_text(kept)) return kept;
  if (dice_.chance(500)) kept.resize(now.size());
  for (std::size_t at = 0; at < std::min(now.size(), kept.size()); at += kSector) {
    if (dice_.chance(500)) continue;
    const std::size_t count = std::min(kSector, std::min(now.size(), kept.size()) - at);
    std::copy_n(now.begin() + static_cast<std::ptrdiff_t>(at), count, kept.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return kept;
}

void SimulatedDisk::rebuild(const fs::path& from, const fs::path& to) {
  const ino_t directory = number_of(from);
  Names names = durable_names_[directory];
  const Names now = fs::exists(from) ? names_of(from) : names;
  for (const auto& [name, number] : now) {
    if ((!names.contains(name) || names[name] != number) && dice_.chance(500)) names[name] = number;
  }
  std::erase_if(names, [&](const auto& entry) { return !now.contains(entry.first) && dice_.chance(500); });
  for (const auto& [name, number] : names) {
    const int fd = known_.at(number).get();
    if (fs::is_directory(fmt::format("/proc/self/fd/{}", fd))) {
      fs::create_directory(to / name);
      rebuild(path_of(fd), to / name);
    } else {
      os::write_all(os::open_file(to / name, O_WRONLY | O_CREAT, 0600).get(), after_loss(number, fd));
    }
  }
}

void SimulatedDisk::lose_power() {
  active = nullptr;
  dead_ = false;
  dies_in_.reset();
  const fs::path next = place_ / fmt::format("disk{}", ++losses_);
  fs::create_directory(next);
  rebuild(root_, next);
  fs::remove_all(root_);
  root_ = next;
  known_.clear();
  durable_content_.clear();
  durable_names_.clear();
  keep_open(root_);
  for (const auto& entry : fs::recursive_directory_iterator(root_)) keep_open(entry.path());
  for (const auto& [number, fd] : known_) synced(fd.get());
  active = this;
}

namespace {

/// -1 with errno set, if the disk of this path or file does not do it now.
template <typename Where>
bool refused(Where where, bool needs_room = false) {
  if (active == nullptr || !active->holds(where)) return false;
  errno = active->fault(needs_room);
  return errno != 0;
}

}  // namespace
}  // namespace backstay::simulation

using backstay::simulation::active;
using backstay::simulation::FailingCalls;
using backstay::simulation::refused;

// NOLINTBEGIN: the names are the linker's
extern "C" {
int __real_open64(const char* path, int flags, ...);
ssize_t __real_write(int fd, const void* data, size_t size);
ssize_t __real_pwrite64(int fd, const void* data, size_t size, off64_t at);
int __real_posix_fallocate64(int fd, off64_t at, off64_t size);
int __real_fsync(int fd);
int __real_rename(const char* from, const char* to);
int __real_link(const char* from, const char* to);
int __real_unlink(const char* path);
int __real_mkdir(const char* path, mode_t mode);

int __wrap_open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const bool creates = (flags & O_CREAT) != 0;
  if (creates && refused(path, true)) return -1;
  const int fd = __real_open64(path, flags, mode);
  if (creates && fd >= 0 && active != nullptr && active->holds(path)) active->opened(fd);
  return fd;
}

/// Half of it may be written before the disk is full.
ssize_t __wrap_write(int fd, const void* data, size_t size) {
  if (!refused(fd, true)) return __real_write(fd, data, size);
  const int error = errno;
  if (!active->dead() && size > 1) {
    [[maybe_unused]] const auto part = __real_write(fd, data, size / 2);
  }
  errno = error;
  return -1;
}

ssize_t __wrap_pwrite64(int fd, const void* data, size_t size, off64_t at) {
  if (const int error = FailingCalls::before_write(FailingCalls::path_of(fd)); error != 0) {
    errno = error;
    return -1;
  }
  if (!refused(fd, true)) return __real_pwrite64(fd, data, size, at);
  const int error = errno;
  if (!active->dead() && size > 1) {
    [[maybe_unused]] const auto part = __real_pwrite64(fd, data, size / 2, at);
  }
  errno = error;
  return -1;
}

int __wrap_posix_fallocate64(int fd, off64_t at, off64_t size) {
  return refused(fd, true) ? errno : __real_posix_fallocate64(fd, at, size);
}

int __wrap_fsync(int fd) {
  if (const int error = FailingCalls::before_sync(FailingCalls::path_of(fd), false); error != 0) {
    errno = error;
    return -1;
  }
  if (active == nullptr || !active->holds(fd)) return __real_fsync(fd);
  if (refused(fd)) return -1;
  active->synced(fd);
  return 0;
}

int __wrap_rename(const char* from, const char* to) { return refused(to) ? -1 : __real_rename(from, to); }
int __wrap_link(const char* from, const char* to) { return refused(to, true) ? -1 : __real_link(from, to); }
int __wrap_unlink(const char* path) { return refused(path) ? -1 : __real_unlink(path); }

int __wrap_mkdir(const char* path, mode_t mode) {
  if (refused(path, true)) return -1;
  const int made = __real_mkdir(path, mode);
  if (made == 0 && active != nullptr && active->holds(path)) {
    const int fd = __real_open64(path, O_RDONLY | O_CLOEXEC);
    active->opened(fd);
    ::close(fd);
  }
  return made;
}
}
// NOLINTEND
