#include "simulation/failing_calls.h"

#include <array>
#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

namespace backstay::simulation {
namespace {

std::atomic<FailingCalls*> failing = nullptr;  // the calls of the system belong to nobody

}  // namespace

FailingCalls::FailingCalls(Dice& dice, const std::filesystem::path& root, std::string last)
    : dice_(dice), root_(root.native()), last_(std::move(last)) {
  failing = this;
}

FailingCalls::~FailingCalls() { failing = nullptr; }

void FailingCalls::die_at(std::uint64_t call) {
  const core::LockGuard lock(mutex_);
  dies_at_ = call;
}

void FailingCalls::fail_at(std::uint64_t call) {
  const core::LockGuard lock(mutex_);
  fails_at_ = call;
}

std::uint64_t FailingCalls::calls() const {
  const core::LockGuard lock(mutex_);
  return calls_;
}

bool FailingCalls::was_early() const {
  const core::LockGuard lock(mutex_);
  return early_;
}

std::string FailingCalls::path_of(int fd) {
  if (failing == nullptr) return {};
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path.data(), path.size());
  return {path.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

int FailingCalls::count(const std::string& path) {
  if (!path.starts_with(root_)) return 0;
  ++calls_;
  if (dies_at_ != 0 && calls_ >= dies_at_) return EIO;
  if (calls_ != fails_at_) return 0;
  return dice_.chance(500) ? ENOSPC : EIO;
}

int FailingCalls::before_write(const std::string& path) {
  FailingCalls* const calls = failing;
  if (calls == nullptr) return 0;
  const core::LockGuard lock(calls->mutex_);
  const int error = calls->count(path);
  if (error != 0 || !path.starts_with(calls->root_)) return error;
  // Whatever name it is written under first.
  (path.find(calls->last_) != std::string::npos ? calls->last_unsynced_ : calls->unsynced_) = true;
  return 0;
}

int FailingCalls::before_sync(const std::string& path, bool everything) {
  FailingCalls* const calls = failing;
  if (calls == nullptr) return 0;
  const core::LockGuard lock(calls->mutex_);
  const int error = calls->count(path);
  if (error != 0 || !path.starts_with(calls->root_)) return error;
  if (everything) calls->unsynced_ = calls->last_unsynced_ = false;
  if (path.find(calls->last_) != std::string::npos) calls->last_unsynced_ = false;
  return 0;
}

int FailingCalls::before_rename(const std::string& from, const std::string& to) {
  FailingCalls* const calls = failing;
  if (calls == nullptr) return 0;
  const core::LockGuard lock(calls->mutex_);
  const int error = calls->count(from);
  if (error != 0) return error;
  if (to.ends_with(calls->last_)) calls->early_ = calls->early_ || calls->unsynced_ || calls->last_unsynced_;
  return 0;
}

namespace {

std::string beside(int directory, const char* name) { return FailingCalls::path_of(directory) + "/" + name; }

bool refused(int error) {
  if (error != 0) errno = error;
  return error != 0;
}

}  // namespace
}  // namespace backstay::simulation

using backstay::simulation::beside;
using backstay::simulation::FailingCalls;
using backstay::simulation::refused;

// NOLINTBEGIN: the names are the linker's
extern "C" {
long __real_syscall(long number, long first, long second, long third, long fourth, long fifth, long sixth);
int __real_mkdirat(int directory, const char* name, mode_t mode);
int __real_symlinkat(const char* target, int directory, const char* name);
int __real_renameat(int from_directory, const char* from, int to_directory, const char* to);
int __real_syncfs(int fd);

/// With all that a call may have, because how many it has is not said.
long __wrap_syscall(long number, long first, long second, long third, long fourth, long fifth, long sixth) {
  if (number == SYS_openat2) {
    const auto* const how = reinterpret_cast<const open_how*>(third);
    const auto* const name = reinterpret_cast<const char*>(second);
    const bool creates = (how->flags & O_CREAT) != 0;
    if (creates && refused(FailingCalls::before_write(beside(static_cast<int>(first), name)))) return -1;
  }
  return __real_syscall(number, first, second, third, fourth, fifth, sixth);
}

int __wrap_mkdirat(int directory, const char* name, mode_t mode) {
  return refused(FailingCalls::before_write(beside(directory, name))) ? -1 : __real_mkdirat(directory, name, mode);
}

int __wrap_symlinkat(const char* target, int directory, const char* name) {
  if (refused(FailingCalls::before_write(beside(directory, name)))) return -1;
  return __real_symlinkat(target, directory, name);
}

int __wrap_renameat(int from_directory, const char* from, int to_directory, const char* to) {
  if (refused(FailingCalls::before_rename(beside(from_directory, from), beside(to_directory, to)))) return -1;
  return __real_renameat(from_directory, from, to_directory, to);
}

int __wrap_syncfs(int fd) {
  return refused(FailingCalls::before_sync(FailingCalls::path_of(fd), true)) ? -1 : __real_syncfs(fd);
}
}
// NOLINTEND
