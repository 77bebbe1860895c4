// A file system in memory that can lose power: crash() takes back everything that was not synced.
//
// Stricter than real ones: a name is lost without a sync of its directory even if the file itself was synced.
#pragma once

#include <map>

#include "core/mutex.h"
#include "os/file_system.h"

namespace backstay::os::testing {

/// Thread-safe. Relative paths start at "/". Symlinks are kept but not followed. Starts with "/" and "/tmp".
class MemoryFileSystem final : public FileSystem {
 public:
  MemoryFileSystem();
  ~MemoryFileSystem() override;

  /// Power loss: contents and names go back to what was synced last. Open files may not be used afterwards.
  void crash();
  /// Writes fail with disk_full once this many bytes are stored.
  void set_capacity(std::uint64_t bytes);

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
  struct Node;
  struct State;
  class File;
  std::shared_ptr<State> state_;  // shared with open files, which may outlive a crash()
};

}  // namespace backstay::os::testing
