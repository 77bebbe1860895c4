#include "blob/directory_store.h"

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "os/file.h"

namespace backstay::blob {
namespace {

namespace fs = std::filesystem;
using core::Code;
using core::Error;

constexpr std::string_view kTemporary = ".backstay-tmp";

[[noreturn]] void fail(std::string_view what, const fs::path& path, int errno_value) {
  throw core::system_error(fmt::format("cannot {} '{}'", what, path.string()), errno_value);
}

void sync_directory(const fs::path& directory) {
  const os::Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) fail("open directory", directory, errno);
  os::sync_file(fd.get());
}

/// Nothing if there is no such file; a directory is none.
std::optional<os::Descriptor> open_object(const fs::path& path) {
  os::Descriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    fail("open", path, errno);
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) fail("look at", path, errno);
  if (!S_ISREG(info.st_mode)) return std::nullopt;
  return fd;
}

core::Bytes read_part(int fd, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t size = os::file_size(fd);
  const std::uint64_t begin = std::min(offset, size);
  core::Bytes content(std::min(length, size - begin));
  content.resize(os::read_at(fd, begin, content));
  return content;
}

core::Timestamp time_of(const struct stat& info) {
  return core::Timestamp(std::chrono::seconds(info.st_mtim.tv_sec) +
                         std::chrono::microseconds(info.st_mtim.tv_nsec / 1000));
}

void check_own_key(std::string_view key) {
  check_key(key);
  if (key.substr(0, key.find('/')) == kTemporary) {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is reserved for unfinished objects", key));
  }
}

bool is_below(const fs::path& path, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

struct Entry {
  std::string name;  // a directory's with a slash at its end, so that sorting by name is the order of keys
  bool directory = false;
};

struct CloseDirectory {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

/// Stays open, so that its files are looked at by their names alone.
struct OpenDirectory {
  std::unique_ptr<DIR, CloseDirectory> dir;
  std::vector<Entry> entries;  // in the order of keys
};

/// Without entries if there is no such directory.
OpenDirectory open_directory(const fs::path& directory) {
  OpenDirectory opened;
  opened.dir.reset(::opendir(directory.c_str()));
  if (!opened.dir) {
    if (errno == ENOENT || errno == ENOTDIR) return opened;
    fail("list", directory, errno);
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(opened.dir.get());  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || name == kTemporary) continue;
    bool is_directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) is_directory = fs::is_directory(fs::symlink_status(directory / name));
    opened.entries.push_back({.name = is_directory ? name + "/" : name, .directory = is_directory});
  }
  if (errno != 0) fail("list", directory, errno);
  std::ranges::sort(opened.entries, {}, &Entry::name);
  return opened;
}

/// The object whose file is `path`, seen from an open directory; nothing if there is none.
std::optional<ObjectInfo> look_at(int directory, const char* path, const fs::path& root, std::string_view key) {
  struct stat info{};
  if (::fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    fail("look at", root / key, errno);
  }
  if (!S_ISREG(info.st_mode)) return std::nullopt;
  return ObjectInfo{
      .key = std::string(key), .size = static_cast<std::uint64_t>(info.st_size), .modified = time_of(info)};
}

void remove_old_temporaries(const fs::path& directory, core::Timestamp now) {
  const auto oldest = fs::file_time_type::clock::from_sys(now - std::chrono::hours(24));
  std::error_code ignored;  // a leftover that cannot be removed now is found again at the next opening
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.last_write_time(ignored) < oldest) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

fs::path resolve_directory(const fs::path& directory, const std::vector<fs::path>& roots, bool create) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(directory, error);
  if (error || !directory.is_absolute()) {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is not an absolute path of a directory", directory.string()));
  }
  const auto allowed = std::ranges::any_of(roots, [&](const fs::path& root) {
    std::error_code root_error;
    const fs::path canonical = fs::canonical(root, root_error);
    return !root_error && is_below(resolved, canonical);
  });
  if (!allowed) {
    throw Error(Code::kPathNotAllowed,
                fmt::format("directory '{}' is not below a root that the operator allowed", directory.string()));
  }
  if (create) {
    fs::path made;
    for (const auto& part : resolved) {
      made /= part;
      if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) fail("make directory", made, errno);
    }
  }
  if (!fs::is_directory(resolved, error)) {
    throw Error(Code::kStoreNotFound, fmt::format("directory '{}' does not exist", directory.string()));
  }
  return resolved;
}

/// A file without a place yet; removed unless it was published.
class DirectoryStore::TemporaryFile {
 public:
  TemporaryFile(const fs::path& root, core::Random& random) : path_(root / kTemporary / random.uuid()) {
    for (bool again = true;; again = false) {
      fd_ = os::Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (fd_.valid()) return;
      if (errno != ENOENT || !again) fail("create", path_, errno);
      // Only this one directory: if the root itself is gone, as a disk that is not mounted, nothing is made in its
      // place.
      if (::mkdir(path_.parent_path().c_str(), 0700) == 0 || errno == EEXIST) continue;
      if (errno == ENOENT) throw Error(Code::kStoreUnreachable, fmt::format("directory '{}' is gone", root.string()));
      fail("make directory", path_.parent_path(), errno);
    }
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void append(core::ByteSpan bytes) { os::write_all(fd_.get(), bytes); }
  void sync() { os::sync_file(fd_.get()); }
  [[nodiscard]] const fs::path& path() const { return path_; }
  /// The file was renamed away.
  void forget() { path_.clear(); }

 private:
  fs::path path_;
  os::Descriptor fd_;
};

class DirectoryUpload final : public Upload {
 public:
  DirectoryUpload(DirectoryStore& store, std::string key)
      : store_(store), key_(std::move(key)), file_(store.root_, store.random_) {}
  void append(core::ByteSpan bytes) override { file_.append(bytes); }
  void finish() override {
    file_.sync();
    store_.publish(file_, key_, false);
  }

 private:
  DirectoryStore& store_;
  const std::string key_;
  DirectoryStore::TemporaryFile file_;
};

DirectoryStore::DirectoryStore(fs::path root, core::Clock& clock, core::Random& random)
    : root_(std::move(root)), random_(random) {
  remove_old_temporaries(root_ / kTemporary, clock.now());
}

fs::path DirectoryStore::path_of(std::string_view key) const {
  check_own_key(key);
  return root_ / key;
}

void DirectoryStore::make_parents(const fs::path& directory) {
  if (directory == root_) return;
  {
    const core::LockGuard lock(mutex_);
    if (durable_directories_.contains(directory)) return;
  }
  make_parents(directory.parent_path());
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) fail("make directory", directory, errno);
  if (!fs::is_directory(directory)) {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is an object and no directory", directory.string()));
  }
  // Also if another thread made it: its sync may still be to come.
  sync_directory(directory.parent_path());
  const core::LockGuard lock(mutex_);
  durable_directories_.insert(directory);
}

bool DirectoryStore::publish(TemporaryFile& file, std::string_view key, bool if_absent) {
  const fs::path target = path_of(key);
  make_parents(target.parent_path());
  if (if_absent) {
    if (::link(file.path().c_str(), target.c_str()) != 0) {
      if (errno != EEXIST) fail("create", target, errno);
      // Whoever made it may have failed to sync it, and who hears that it is there goes on from that.
      sync_directory(target.parent_path());
      return false;
    }
  } else {
    if (::rename(file.path().c_str(), target.c_str()) != 0) fail("replace", target, errno);
    file.forget();
  }
  sync_directory(target.parent_path());
  return true;
}

void DirectoryStore::put(std::string_view key, core::ByteSpan content) {
  check_own_key(key);
  TemporaryFile file(root_, random_);
  file.append(content);
  file.sync();
  publish(file, key, false);
}

bool DirectoryStore::put_if_absent(std::string_view key, core::ByteSpan content) {
  check_own_key(key);
  TemporaryFile file(root_, random_);
  file.append(content);
  file.sync();
  return publish(file, key, true);
}

std::unique_ptr<Upload> DirectoryStore::begin_upload(std::string_view key) {
  check_own_key(key);
  return std::make_unique<DirectoryUpload>(*this, std::string(key));
}

std::optional<core::Bytes> DirectoryStore::get(std::string_view key) {
  return get_range(key, 0, std::numeric_limits<std::uint64_t>::max());
}

std::optional<core::Bytes> DirectoryStore::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  const auto fd = open_object(path_of(key));
  if (!fd) return std::nullopt;
  return read_part(fd->get(), offset, length);
}

std::optional<ObjectTail> DirectoryStore::get_tail(std::string_view key, std::uint64_t length) {
  const auto fd = open_object(path_of(key));
  if (!fd) return std::nullopt;
  const std::uint64_t size = os::file_size(fd->get());
  return ObjectTail{.content = read_part(fd->get(), size - std::min(size, length), length), .object_size = size};
}

std::optional<ObjectInfo> DirectoryStore::head(std::string_view key) {
  return look_at(AT_FDCWD, path_of(key).c_str(), root_, key);
}

struct DirectoryStore::Listing {
  std::string_view prefix;
  std::string_view start_after;
  const std::function<bool(const ObjectInfo&)>& each;

  /// Whether a directory ("a/b/") may hold keys that are asked for.
  [[nodiscard]] bool wants_directory(std::string_view directory) const {
    const bool in_prefix = directory.starts_with(prefix) || prefix.starts_with(directory);
    return in_prefix && (directory > start_after || start_after.starts_with(directory));
  }
  [[nodiscard]] bool wants_key(std::string_view key) const {
    return key.starts_with(prefix) && key > start_after && is_valid_key(key);
  }
};

bool DirectoryStore::list_directory(const Listing& listing, const std::string& directory) {
  const OpenDirectory opened = open_directory(root_ / directory);
  for (const auto& entry : opened.entries) {
    const std::string key = directory + entry.name;
    if (entry.directory) {
      if (listing.wants_directory(key) && !list_directory(listing, key)) return false;
    } else if (listing.wants_key(key)) {
      const auto info = look_at(::dirfd(opened.dir.get()), entry.name.c_str(), root_, key);
      if (info && !listing.each(*info)) return false;
    }
  }
  return true;
}

void DirectoryStore::list(std::string_view prefix, std::string_view start_after,
                          const std::function<bool(const ObjectInfo&)>& each) {
  if (!fs::is_directory(root_)) {
    throw Error(Code::kStoreUnreachable, fmt::format("directory '{}' is gone", root_.string()));
  }
  list_directory({.prefix = prefix, .start_after = start_after, .each = each}, "");
}

void DirectoryStore::remove(std::span<const std::string> keys) {
  std::set<fs::path> changed;
  for (const auto& key : keys) check_own_key(key);
  for (const auto& key : keys) {
    const fs::path path = path_of(key);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) fail("remove", path, errno);
    // Also what is gone already: an attempt before this one may have failed to sync it.
    if (fs::is_directory(path.parent_path())) changed.insert(path.parent_path());
  }
  for (const auto& directory : changed) sync_directory(directory);
}

}  // namespace backstay::blob
