#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/error.h"
#include "os/file.h"
#include "os/file_system.h"

namespace backstay::os {
namespace {

[[noreturn]] void fail(const char* what, const Path& path, int error = errno) {
  throw core::system_error(fmt::format("cannot {} '{}'", what, path.native()), error,
                           error == ENOENT ? core::Code::kNotFound : core::Code::kIoError);
}

FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return FileType::kFile;
  if (S_ISDIR(mode)) return FileType::kDirectory;
  return S_ISLNK(mode) ? FileType::kSymlink : FileType::kOther;
}

class RealReadableFile final : public ReadableFile {
 public:
  explicit RealReadableFile(const Path& path) : path_(path), file_(open_file(path, O_RDONLY)) {}
  std::size_t read_at(std::uint64_t offset, core::MutableByteSpan out) override {
    try {
      return os::read_at(file_.get(), offset, out);
    } catch (core::Error& error) {
      throw error.add_context(path_.native());
    }
  }
  std::uint64_t size() override { return file_size(file_.get()); }

 private:
  Path path_;
  Descriptor file_;
};

class RealWritableFile final : public WritableFile {
 public:
  RealWritableFile(const Path& path, int flags, mode_t mode)
      : path_(path), file_(open_file(path, flags, mode)), end_(file_size(file_.get())) {}
  void write_at(std::uint64_t offset, core::ByteSpan data) override {
    named([&] { os::write_at(file_.get(), offset, data); });
    end_ = std::max(end_, offset + data.size());
  }
  void append(core::ByteSpan data) override { write_at(end_, data); }
  /// The exact mode, whatever the umask and whatever the file had before.
  void set_mode(mode_t mode) {
    if (::fchmod(file_.get(), mode) != 0) fail("set the mode of", path_);
  }
  void truncate(std::uint64_t size) override {
    if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) fail("truncate", path_);
    end_ = size;
  }
  void sync() override {
    named([&] { sync_file(file_.get()); });
  }
  void close() override {
    // Some file systems report a failed write only here.
    if (::close(file_.release()) != 0 && errno != EINTR) fail("close", path_);
  }

 private:
  template <typename Work>
  void named(Work work) {
    try {
      work();
    } catch (core::Error& error) {
      throw error.add_context(path_.native());
    }
  }
  Path path_;
  Descriptor file_;
  std::uint64_t end_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

FileType entry_type(int directory, const dirent& entry) {
  switch (entry.d_type) {
    case DT_REG: return FileType::kFile;
    case DT_DIR: return FileType::kDirectory;
    case DT_LNK: return FileType::kSymlink;
    case DT_UNKNOWN: break;
    default: return FileType::kOther;
  }
  struct stat info{};
  if (::fstatat(directory, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return FileType::kOther;
  return type_of(info.st_mode);
}

}  // namespace

core::Bytes RealFileSystem::read_file(const Path& path) {
  RealReadableFile file(path);
  core::Bytes content(file.size());
  // Files of /proc say 0 and files may grow: read on until nothing comes.
  std::size_t have = 0;
  for (;;) {
    if (have == content.size()) content.resize(std::max<std::size_t>(4096, content.size() * 2));
    const std::size_t got = file.read_at(have, core::MutableByteSpan(content).subspan(have));
    have += got;
    if (have < content.size()) break;
  }
  content.resize(have);
  return content;
}

std::optional<FileInfo> RealFileSystem::stat(const Path& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    fail("look at", path);
  }
  const auto modified = std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
  return FileInfo{.type = type_of(info.st_mode),
                  .size = static_cast<std::uint64_t>(info.st_size),
                  .mode = info.st_mode & 07777,
                  .uid = info.st_uid,
                  .gid = info.st_gid,
                  .modified = core::Timestamp(std::chrono::floor<core::Duration>(modified))};
}

std::vector<DirEntry> RealFileSystem::list(const Path& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) fail("list", path);
  std::vector<DirEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name(entry->d_name);
    if (name == "." || name == "..") continue;
    entries.push_back({std::string(name), entry_type(::dirfd(directory.get()), *entry)});
  }
  if (errno != 0) fail("list", path);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Path RealFileSystem::read_link(const Path& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) fail("read the link", path);
  target.resize(static_cast<std::size_t>(length));
  return target;
}

std::unique_ptr<ReadableFile> RealFileSystem::open_read(const Path& path) {
  return std::make_unique<RealReadableFile>(path);
}

std::unique_ptr<WritableFile> RealFileSystem::open_write(const Path& path) {
  return std::make_unique<RealWritableFile>(path, O_WRONLY, 0);
}

std::unique_ptr<WritableFile> RealFileSystem::create(const Path& path, mode_t mode) {
  auto file = std::make_unique<RealWritableFile>(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  file->set_mode(mode);
  return file;
}

std::unique_ptr<WritableFile> RealFileSystem::create_new(const Path& path, mode_t mode) {
  auto file = std::make_unique<RealWritableFile>(path, O_WRONLY | O_CREAT | O_EXCL, mode);
  file->set_mode(mode);
  return file;
}

void RealFileSystem::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename", from);
}

void RealFileSystem::remove(const Path& path) {
  if (::remove(path.c_str()) != 0 && errno != ENOENT) fail("remove", path);
}

void RealFileSystem::remove_all(const Path& path) {
  // Somebody else may be adding or removing entries below it at this moment.
  constexpr int kAttempts = 5;
  std::error_code error;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::filesystem::remove_all(path, error);
    if (error.value() != ENOENT && error.value() != ENOTEMPTY) break;
  }
  if (error) fail("remove", path, error.value());
}

void RealFileSystem::make_directories(const Path& path, mode_t mode) {
  if (path.empty() || ::mkdir(path.c_str(), mode) == 0) return;
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    make_directories(path.parent_path(), mode);
    if (::mkdir(path.c_str(), mode) == 0) return;
  }
  const int error = errno;
  // "a/" names the directory "a", which may have been made just now.
  struct stat info{};
  if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return;
  fail("make the directory", path, error);
}

void RealFileSystem::make_symlink(const Path& target, const Path& link) {
  if (::symlink(target.c_str(), link.c_str()) != 0) fail("make the link", link);
}

void RealFileSystem::sync_directory(const Path& path) {
  const Descriptor directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (::fsync(directory.get()) != 0) fail("sync the directory", path);
}

void RealFileSystem::sync_file_system(const Path& path) {
  const Descriptor any = open_file(path, O_RDONLY);
  if (::syncfs(any.get()) != 0) fail("sync the file system of", path);
}

std::uint64_t RealFileSystem::free_space(const Path& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) fail("ask for the free space of", path);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

void RealFileSystem::set_owner(const Path& path, uid_t uid, gid_t gid) {
  if (::lchown(path.c_str(), uid, gid) != 0) fail("set the owner of", path);
}

void RealFileSystem::set_mode(const Path& path, mode_t mode) {
  if (::chmod(path.c_str(), mode) != 0) fail("set the mode of", path);
}

}  // namespace backstay::os
