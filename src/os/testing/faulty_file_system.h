// A file system whose Nth call fails: the loop over N finds every path that does not survive a failure.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/error.h"
#include "os/file_system.h"

namespace backstay::os::testing {

/// Passes every call on to `inner`, which must outlive it. Calls on open files count too.
class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FileSystem& inner) : inner_(&inner) {}

  /// The call number `n` from now on (1 is the next one) throws, and only that one; 0 lets everything pass.
  void fail_call(std::uint64_t n, core::Code code = core::Code::kIoError);
  /// From the call number `n` on, every call throws: the process has died, as far as the disk can tell.
  void fail_from(std::uint64_t n, core::Code code = core::Code::kIoError);
  /// Calls since the last fail_call or fail_from.
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  /// Counts a call; used by its open files.
  void count(const char* what);

  core::Bytes read_file(const Path& path) override;
  std::optional<FileInfo> stat(const Path& path) override;
  std::vector<DirEntry> list(const Path& path) override;
  Path read_link(const Path& path) override;
  std::unique_ptr<ReadableFile> open_read(const Path& path) override;
  std::unique_ptr<WritableFile> open_write(const Path& path) override;
  std::unique_ptr<WritableFile> create(const Path& path, mode_t mode) override;
  std::unique_ptr<WritableFile> create_new(const Path& path, mode_t mode) override;
  void rename(const Path& from, const Path& to) override;
  void remove(const Path& path) override;
  void remove_all(const Path& path) override;
  void make_directories(const Path& path, mode_t mode) override;
  void make_symlink(const Path& target, const Path& link) override;
  void sync_directory(const Path& path) override;
  void sync_file_system(const Path& path) override;
  std::uint64_t free_space(const Path& path) override;
  void set_owner(const Path& path, uid_t uid, gid_t gid) override;
  void set_mode(const Path& path, mode_t mode) override;

 private:
  FileSystem* inner_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> fail_at_{0};
  std::atomic<bool> stay_failed_{false};
  std::atomic<core::Code> code_{core::Code::kIoError};
};

}  // namespace backstay::os::testing
