#include "os/untrusted_directory.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"

namespace backstay::os {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

std::string name_in_parent(const std::string& path) { return path.substr(path.rfind('/') + 1); }

FileInfo info_of(const struct stat& info) {
  const auto modified = std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
  return {.type = S_ISREG(info.st_mode)   ? FileType::kFile
                  : S_ISDIR(info.st_mode) ? FileType::kDirectory
                  : S_ISLNK(info.st_mode) ? FileType::kSymlink
                                          : FileType::kOther,
          .size = static_cast<std::uint64_t>(info.st_size),
          .mode = info.st_mode & 07777,
          .uid = info.st_uid,
          .gid = info.st_gid,
          .modified = core::Timestamp(std::chrono::floor<core::Duration>(modified))};
}

bool may_read(const Identity& reader, const struct stat& file) {
  return file.st_uid == reader.uid || (file.st_mode & S_IROTH) != 0 ||
         (file.st_gid == reader.gid && (file.st_mode & S_IRGRP) != 0);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

void DirectoryNames::add(std::string_view name) {
  begins_.push_back(static_cast<std::uint32_t>(text_.size()));
  text_.append(name).push_back('\0');
}

void DirectoryNames::sort() {
  std::ranges::sort(begins_, {}, [this](std::uint32_t begin) { return std::string_view(&text_[begin]); });
}

UntrustedDirectory::UntrustedDirectory(Path path)
    : path_(std::move(path)), root_(open_file(path_, O_RDONLY | O_DIRECTORY)) {
  struct stat info{};
  if (::fstat(root_.get(), &info) != 0) throw core::system_error("cannot look at a directory", errno);
  owner_ = {info.st_uid, info.st_gid};
}

void UntrustedDirectory::fail(const char* what, const std::string& path, int error) const {
  const auto message = fmt::format("cannot {} '{}' in '{}'", what, path, path_.native());
  if (error == ELOOP || error == EXDEV || error == ENXIO) {
    throw core::Error(core::Code::kPathNotAllowed,
                      message + ": a symbolic link is in the way, or it is not a file or a directory")
        .with_hint("remove from the directory what the database did not put there");
  }
  throw core::system_error(message, error,
                           error == ENOENT || error == ENOTDIR ? core::Code::kNotFound
                           : error == EEXIST                   ? core::Code::kAlreadyExists
                                                               : core::Code::kIoError);
}

Descriptor UntrustedDirectory::open_any(const std::string& path, int flags, mode_t mode) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  for (;;) {
    const long fd = ::syscall(SYS_openat2, root_.get(), path.empty() ? "." : path.c_str(), &how, sizeof how);
    if (fd >= 0) return Descriptor(static_cast<int>(fd));
    // EAGAIN: something was renamed while the path was followed.
    if (errno != EINTR && errno != EAGAIN) fail("open", path, errno);
  }
}

Descriptor UntrustedDirectory::open_parent(const std::string& path) const {
  const auto slash = path.rfind('/');
  return open_any(slash == std::string::npos ? "" : path.substr(0, slash), O_PATH | O_DIRECTORY);
}

std::vector<UntrustedDirectory::Entry> UntrustedDirectory::list(const std::string& directory) const {
  const DirectoryNames all = names(directory);
  return look(directory, all, 0, all.size());
}

DirectoryNames UntrustedDirectory::names(const std::string& directory) const {
  Descriptor opened = open_any(directory, O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(opened.get()));
  if (!stream) fail("list", directory, errno);
  (void)opened.release();
  DirectoryNames names;
  for (;;) {
    errno = 0;
    const dirent* const found = ::readdir(stream.get());
    if (found == nullptr) break;
    const std::string_view name(found->d_name);
    if (name != "." && name != "..") names.add(name);
  }
  if (errno != 0) fail("list", directory, errno);
  names.sort();
  return names;
}

std::vector<UntrustedDirectory::Entry> UntrustedDirectory::look(const std::string& directory,
                                                                const DirectoryNames& names, std::size_t first,
                                                                std::size_t count) const {
  const Descriptor opened = open_any(directory, O_PATH | O_DIRECTORY);
  std::vector<Entry> entries;
  entries.reserve(count);
  for (std::size_t i = first; i < first + count; ++i) {
    const std::string name(names[i]);
    struct stat info{};
    if (::fstatat(opened.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      entries.push_back({name, info_of(info)});
    } else if (errno != ENOENT) {
      fail("look at", directory + '/' + name, errno);
    }
  }
  return entries;
}

std::optional<FileInfo> UntrustedDirectory::stat(const std::string& path) const {
  struct stat info{};
  try {
    const Descriptor parent = open_parent(path);
    if (::fstatat(parent.get(), name_in_parent(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return info_of(info);
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kNotFound) throw;
    return std::nullopt;
  }
  if (errno == ENOENT) return std::nullopt;
  fail("look at", path, errno);
}

Path UntrustedDirectory::read_link(const std::string& link) const {
  const Descriptor parent = open_parent(link);
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlinkat(parent.get(), name_in_parent(link).c_str(), target.data(), target.size());
  if (length < 0) fail("read the link", link, errno);
  target.resize(static_cast<std::size_t>(length));
  return target;
}

Descriptor UntrustedDirectory::open(const std::string& file, int flags) const {
  Descriptor opened = open_any(file, flags | O_NONBLOCK | O_NOCTTY);
  struct stat info{};
  if (::fstat(opened.get(), &info) != 0) fail("look at", file, errno);
  if (!S_ISREG(info.st_mode)) fail("open", file, ENXIO);
  if (!may_read(owner_, info)) {
    throw core::Error(core::Code::kPathNotAllowed,
                      fmt::format("'{}' in '{}' belongs to another user", file, path_.native()))
        .with_hint("give the file to the user that the directory belongs to, or remove it");
  }
  return opened;
}

core::Bytes UntrustedDirectory::read_file(const std::string& file, std::size_t limit) const {
  const Descriptor opened = open(file, O_RDONLY);
  core::Bytes content(limit + 1);  // one byte too many tells
  content.resize(read_at(opened.get(), 0, content));
  if (content.size() <= limit) return content;
  throw core::Error(core::Code::kPathNotAllowed,
                    fmt::format("'{}' in '{}' is larger than {} bytes", file, path_.native(), limit));
}

Descriptor UntrustedDirectory::create(const std::string& file, const std::optional<Identity>& owner) const {
  Descriptor made = open_any(file, O_WRONLY | O_CREAT | O_EXCL, kFileMode);
  // The exact mode, whatever the umask.
  if (::fchmod(made.get(), kFileMode) != 0 || (owner && ::fchown(made.get(), owner->uid, owner->gid) != 0)) {
    fail("set the owner and mode of", file, errno);
  }
  return made;
}

void UntrustedDirectory::make_directory(const std::string& directory, const std::optional<Identity>& owner) const {
  const Descriptor parent = open_parent(directory);
  if (::mkdirat(parent.get(), name_in_parent(directory).c_str(), kDirectoryMode) != 0) fail("make", directory, errno);
  const Descriptor made = open_any(directory, O_RDONLY | O_DIRECTORY);
  if (::fchmod(made.get(), kDirectoryMode) != 0 || (owner && ::fchown(made.get(), owner->uid, owner->gid) != 0)) {
    fail("set the owner and mode of", directory, errno);
  }
}

void UntrustedDirectory::make_symlink(const Path& target, const std::string& link,
                                      const std::optional<Identity>& owner) const {
  const Descriptor parent = open_parent(link);
  const auto name = name_in_parent(link);
  if (::symlinkat(target.c_str(), parent.get(), name.c_str()) != 0) fail("make the link", link, errno);
  if (owner && ::fchownat(parent.get(), name.c_str(), owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0) {
    fail("set the owner of", link, errno);
  }
}

void UntrustedDirectory::rename(const std::string& from, const std::string& to) const {
  const Descriptor parent = open_parent(from);
  if (::renameat(parent.get(), name_in_parent(from).c_str(), parent.get(), name_in_parent(to).c_str()) != 0) {
    fail("rename", from, errno);
  }
}

void UntrustedDirectory::sync_directory(const std::string& directory) const {
  if (::fsync(open_any(directory, O_RDONLY | O_DIRECTORY).get()) != 0) fail("sync", directory, errno);
}

void UntrustedDirectory::sync_file_system() const {
  if (::syncfs(root_.get()) != 0) fail("sync", "", errno);
}

/// From the top down: once a directory is given away, its former owner cannot exchange what is in it.
void UntrustedDirectory::give_content(const std::string& directory, const Identity& owner) const {
  const Descriptor opened = open_any(directory, O_RDONLY | O_DIRECTORY);
  if (::fchown(opened.get(), owner.uid, owner.gid) != 0) fail("set the owner of", directory, errno);
  for (const auto& entry : list(directory)) {
    const auto path = directory.empty() ? entry.name : directory + '/' + entry.name;
    if (entry.info.uid != owner_.uid && entry.info.uid != owner.uid) {
      throw core::Error(core::Code::kPathNotAllowed,
                        fmt::format("'{}' in '{}' belongs to another user", path, path_.native()));
    }
    if (entry.info.type == FileType::kDirectory) {
      give_content(path, owner);
    } else if (::fchownat(opened.get(), entry.name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      fail("set the owner of", path, errno);
    }
  }
}

void UntrustedDirectory::give_to(const Identity& owner) const { give_content("", owner); }

}  // namespace backstay::os
