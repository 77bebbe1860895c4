// A directory whose content somebody else may change at any moment: a service's data, seen by root.
//
// Every path is relative to it, '/'-separated. No call leaves the directory or follows a symbolic link on the way, not
// even one that appears while the call runs; such a path throws Error(path_not_allowed). A path that is not there
// throws not_found, everything else io_error. Needs openat2(2), Linux 5.6.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "os/file.h"
#include "os/file_system.h"
#include "os/process.h"

namespace backstay::os {

/// The names in a directory, sorted.
class DirectoryNames {
 public:
  [[nodiscard]] std::size_t size() const { return begins_.size(); }
  [[nodiscard]] std::string_view operator[](std::size_t number) const { return &text_[begins_[number]]; }

 private:
  friend class UntrustedDirectory;
  void add(std::string_view name);
  void sort();

  /// Each with a zero behind it.
  std::string text_;
  std::vector<std::uint32_t> begins_;
};

/// Safe for any thread.
class UntrustedDirectory {
 public:
  /// Its own path is trusted; whoever cannot trust it looks at owner(). Throws not_found.
  explicit UntrustedDirectory(Path path);

  struct Entry {
    std::string name;
    FileInfo info;
  };
  /// Of one directory, sorted by name; "" is the directory itself. What vanishes meanwhile is left out.
  std::vector<Entry> list(const std::string& directory) const;
  /// The names alone, for directories of any size: each takes five bytes more than it is long.
  [[nodiscard]] DirectoryNames names(const std::string& directory) const;
  /// What `count` of these names are, from number `first` on, as `list` tells it.
  std::vector<Entry> look(const std::string& directory, const DirectoryNames& names, std::size_t first,
                          std::size_t count) const;
  /// Of the path itself, not of what a symlink points to. Nothing if there is no such path.
  std::optional<FileInfo> stat(const std::string& path) const;
  [[nodiscard]] Path read_link(const std::string& link) const;
  /// An existing regular file that the directory's owner may read. Never waits, as for the other end of a pipe; throws
  /// path_not_allowed for what is no regular file, and for the file of another user, which a hard link may bring here.
  Descriptor open(const std::string& file, int flags) const;
  /// Its whole content. Throws path_not_allowed also if there is more than `limit` bytes of it.
  core::Bytes read_file(const std::string& file, std::size_t limit) const;

  /// New things, closed to everybody but the owner: the identity, or the caller if there is none. Throw already_exists.
  Descriptor create(const std::string& file, const std::optional<Identity>& owner) const;
  void make_directory(const std::string& directory, const std::optional<Identity>& owner) const;
  void make_symlink(const Path& target, const std::string& link, const std::optional<Identity>& owner) const;
  /// Within one directory; replaces `to`.
  void rename(const std::string& from, const std::string& to) const;
  void sync_directory(const std::string& directory) const;
  /// syncfs(2).
  void sync_file_system() const;
  /// The directory and everything in it; links themselves, not what they point to. Throws path_not_allowed if anything
  /// belongs to a third user.
  void give_to(const Identity& owner) const;

  [[nodiscard]] uid_t owner() const { return owner_.uid; }
  [[nodiscard]] const Path& path() const { return path_; }

 private:
  [[nodiscard]] Descriptor open_any(const std::string& path, int flags, mode_t mode = 0) const;
  /// The directory that a path lies in.
  [[nodiscard]] Descriptor open_parent(const std::string& path) const;
  [[noreturn]] void fail(const char* what, const std::string& path, int error) const;
  void give_content(const std::string& directory, const Identity& owner) const;

  Path path_;
  Descriptor root_;
  Identity owner_;
};

}  // namespace backstay::os
