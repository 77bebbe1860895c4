// The file system as an interface, so that tests can lose power and fail at any call.
//
// Every function throws core::Error: not_found where the path must exist and does not, disk_full, else io_error. What
// was written survives a crash only after its sync: the file's own for its content, the directory's for its names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/bytes.h"
#include "core/time.h"

namespace backstay::os {

using Path = std::filesystem::path;

enum class FileType { kFile, kDirectory, kSymlink, kOther };

struct FileInfo {
  FileType type = FileType::kFile;
  std::uint64_t size = 0;
  mode_t mode = 0;  // permission bits only
  uid_t uid = 0;
  gid_t gid = 0;
  core::Timestamp modified = {};
};

struct DirEntry {
  std::string name = {};
  FileType type = FileType::kFile;
};

/// Any thread may read at any time.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  /// Less than asked only at the end of the file.
  virtual std::size_t read_at(std::uint64_t offset, core::MutableByteSpan out) = 0;
  virtual std::uint64_t size() = 0;
};

/// One thread at a time. Destroyed without close: what was written stays, errors are not seen.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void write_at(std::uint64_t offset, core::ByteSpan data) = 0;
  /// Writes at the end as this object sees it.
  virtual void append(core::ByteSpan data) = 0;
  virtual void truncate(std::uint64_t size) = 0;
  virtual void sync() = 0;
  virtual void close() = 0;
};

/// Safe for any thread.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual core::Bytes read_file(const Path& path) = 0;
  /// Does not follow a symlink. Nothing if there is no such path.
  virtual std::optional<FileInfo> stat(const Path& path) = 0;
  /// Sorted by name, without "." and "..".
  virtual std::vector<DirEntry> list(const Path& path) = 0;
  virtual Path read_link(const Path& path) = 0;
  virtual std::unique_ptr<ReadableFile> open_read(const Path& path) = 0;
  /// An existing file, its content kept.
  virtual std::unique_ptr<WritableFile> open_write(const Path& path) = 0;
  /// A new file, or an existing one emptied.
  virtual std::unique_ptr<WritableFile> create(const Path& path, mode_t mode) = 0;
  /// A new file; throws already_exists if there is anything of that name.
  virtual std::unique_ptr<WritableFile> create_new(const Path& path, mode_t mode) = 0;
  /// Replaces `to` if it is there.
  virtual void rename(const Path& from, const Path& to) = 0;
  /// A file, a symlink or an empty directory; a missing path is fine.
  virtual void remove(const Path& path) = 0;
  virtual void remove_all(const Path& path) = 0;
  /// With parents; existing ones stay as they are.
  virtual void make_directories(const Path& path, mode_t mode) = 0;
  virtual void make_symlink(const Path& target, const Path& link) = 0;
  virtual void sync_directory(const Path& path) = 0;
  /// syncfs(2): everything on the file system that holds `path`.
  virtual void sync_file_system(const Path& path) = 0;
  /// Bytes that an ordinary user can still write below `path`.
  virtual std::uint64_t free_space(const Path& path) = 0;
  /// Of the path itself, not of what a symlink points to.
  virtual void set_owner(const Path& path, uid_t uid, gid_t gid) = 0;
  virtual void set_mode(const Path& path, mode_t mode) = 0;

  /// Atomic and durable: after a crash the path has the old content or the new one. Temporary file, sync, rename, sync
  /// of the directory. Any number may write the same path at once: it has what one of them wrote, the last that ended.
  void write_file_durably(const Path& path, core::ByteSpan content, mode_t mode);

 private:
  void remove_quietly(const Path& path) noexcept;
};

/// The machine's own files.
class RealFileSystem final : public FileSystem {
 public:
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
};

}  // namespace backstay::os
