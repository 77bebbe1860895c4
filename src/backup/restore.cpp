#include "backup/restore.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "backup/parallel.h"
#include "core/bounded_queue.h"
#include "core/error.h"
#include "os/file.h"
#include "os/file_system.h"
#include "postgres/control_file.h"
#include "repository/manifest.h"
#include "repository/pack_reader.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kItemSize = 32U << 20;
constexpr std::uint64_t kSmallItemSize = 4U << 20;
constexpr std::size_t kSmallItemFiles = 256;
constexpr std::size_t kWriteSize = 1U << 20;
constexpr std::size_t kQueuedItems = 16;
constexpr mode_t kDirectoryMode = 0700;
constexpr std::string_view kTablespaces = "pg_tblspc/";

using Entry = std::shared_ptr<const repository::FileEntry>;

/// Whole files, or bytes [from, to) of the only one.
struct Item {
  std::vector<Entry> files;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

class Restorer {
 public:
  Restorer(const Environment& environment, const RestoreRequest& request)
      : environment_(environment),
        request_(request),
        manifest_(request.repository, request.instance, request.backup_id),
        packs_(request.repository),
        items_(kQueuedItems) {}

  RestoreResult restore(const ProgressCallback& progress, std::stop_token stop);

 private:
  void prepare_target();
  void read_manifest(const std::stop_token& stop);
  void take_entry(Entry entry);
  void add_item(Item item);
  void flush_batch();
  void make_directory(const repository::FileEntry& entry);
  void make_tablespace(const repository::FileEntry& entry);
  void write_items(const std::stop_token& stop);
  void write_range(repository::PackReader& reader, const repository::FileEntry& entry,
                   const std::filesystem::path& path, std::uint64_t from, std::uint64_t to, core::Bytes& buffer);
  os::Descriptor open_target(const repository::FileEntry& entry, const std::filesystem::path& path) const;
  void finish();
  void own(const std::filesystem::path& path) const {
    if (request_.identity) environment_.files.set_owner(path, request_.identity->uid, request_.identity->gid);
  }

  const Environment& environment_;
  const RestoreRequest& request_;
  repository::ManifestReader manifest_;
  repository::PackCache packs_;
  core::BoundedQueue<Item> items_;
  Item batch_;
  std::uint64_t batch_size_ = 0;
  Entry control_file_;
  bool has_tablespaces_ = false;
  RestoreResult result_;
  std::atomic<bool> manifest_read_{false};
  std::atomic<std::uint64_t> written_{0};
};

RestoreResult Restorer::restore(const ProgressCallback& progress, std::stop_token stop) {
  const auto tick = [&] {
    if (progress) progress({.phase = "restore", .done = written_, .total = manifest_.data_size()});
  };
  prepare_target();
  tick();
  std::atomic<bool> reader_taken{false};
  const auto work = [&](const std::stop_token& token) {
    const std::stop_callback abort(token, [this] { items_.abort(); });
    if (!reader_taken.exchange(true)) read_manifest(token);
    write_items(token);
  };
  run_parallel(std::max(request_.workers, 1U) + 1, stop, work, tick);
  finish();
  tick();
  result_.bytes = written_;
  return result_;
}

void Restorer::prepare_target() {
  auto& files = environment_.files;
  const auto& target = request_.data_directory;
  if (files.stat(target)) {
    if (!files.list(target).empty()) {
      throw core::Error(core::Code::kConflict, fmt::format("the directory '{}' is not empty", target.string()))
          .with_hint("restore into a new or an empty directory; Backstay never overwrites data");
    }
    files.set_mode(target, kDirectoryMode);
  } else {
    files.make_directories(target, kDirectoryMode);
  }
  own(target);
}

void Restorer::read_manifest(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto entry = manifest_.next();
    if (!entry) break;
    take_entry(std::make_shared<const repository::FileEntry>(*std::move(entry)));
  }
  flush_batch();
  items_.close();
}

void Restorer::take_entry(Entry entry) {
  if (entry->type == repository::EntryType::kDirectory) return make_directory(*entry);
  if (entry->type == repository::EntryType::kSymlink) return make_tablespace(*entry);
  // The links are made here, to new places; the map would make PostgreSQL link to the old ones.
  if (entry->path == "tablespace_map") return;
  ++result_.files;
  if (entry->path == postgres::kControlFilePath) {
    control_file_ = std::move(entry);
    return;
  }
  if (entry->size <= kItemSize) {
    batch_size_ += entry->size;
    batch_.files.push_back(std::move(entry));
    if (batch_size_ >= kSmallItemSize || batch_.files.size() >= kSmallItemFiles) flush_batch();
    return;
  }
  for (std::uint64_t from = 0; from < entry->size; from += kItemSize) {
    add_item({.files = {entry}, .from = from, .to = std::min(from + kItemSize, entry->size)});
  }
}

void Restorer::add_item(Item item) { items_.push(std::move(item)); }

void Restorer::flush_batch() {
  if (!batch_.files.empty()) add_item(std::exchange(batch_, {}));
  batch_size_ = 0;
}

void Restorer::make_directory(const repository::FileEntry& entry) {
  const auto path = request_.data_directory / entry.path;
  environment_.files.make_directories(path, entry.mode);
  own(path);
}

void Restorer::make_tablespace(const repository::FileEntry& entry) {
  const std::string_view path = entry.path;
  if (!path.starts_with(kTablespaces) || path.find('/', kTablespaces.size()) != std::string_view::npos) {
    throw core::Error(core::Code::kCorruptData,
                      fmt::format("the manifest has a symbolic link '{}' that is no tablespace", entry.path));
  }
  const auto target = std::filesystem::absolute(request_.tablespace_directory) / path.substr(kTablespaces.size());
  auto& files = environment_.files;
  if (files.stat(target) && !files.list(target).empty()) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("the tablespace directory '{}' is not empty", target.string()));
  }
  files.make_directories(target, kDirectoryMode);
  own(request_.tablespace_directory);
  own(target);
  files.make_symlink(target, request_.data_directory / entry.path);
  own(request_.data_directory / entry.path);
  has_tablespaces_ = true;
}

void Restorer::write_items(const std::stop_token& stop) {
  repository::PackReader reader(packs_);
  core::Bytes buffer(kWriteSize);
  while (const auto item = items_.pop()) {
    for (const Entry& entry : item->files) {
      if (stop.stop_requested()) return;
      const std::uint64_t to = item->to > 0 ? item->to : entry->size;
      write_range(reader, *entry, request_.data_directory / entry->path, item->from, to, buffer);
    }
  }
}

os::Descriptor Restorer::open_target(const repository::FileEntry& entry, const std::filesystem::path& path) const {
  os::Descriptor file = os::open_file(path, O_WRONLY | O_CREAT | O_NOFOLLOW, entry.mode);
  if (fchmod(file.get(), entry.mode) != 0 ||
      (request_.identity && fchown(file.get(), request_.identity->uid, request_.identity->gid) != 0)) {
    throw core::system_error(fmt::format("cannot set the owner and mode of '{}'", path.string()), errno);
  }
  return file;
}

void Restorer::write_range(repository::PackReader& reader, const repository::FileEntry& entry,
                           const std::filesystem::path& path, std::uint64_t from, std::uint64_t to,
                           core::Bytes& buffer) {
  const os::Descriptor file = open_target(entry, path);
  for (std::uint64_t at = from; at < to;) {
    const core::MutableByteSpan piece(buffer.data(), std::min<std::uint64_t>(buffer.size(), to - at));
    reader.read_file(entry.extents, at, piece);
    os::write_at(file.get(), at, piece);
    at += piece.size();
    written_ += piece.size();
  }
}

void Restorer::finish() {
  if (!control_file_) {
    throw core::Error(core::Code::kCorruptData,
                      fmt::format("the backup '{}' has no '{}'", request_.backup_id, postgres::kControlFilePath));
  }
  auto& files = environment_.files;
  files.sync_file_system(request_.data_directory);
  if (has_tablespaces_) files.sync_file_system(request_.tablespace_directory);
  const auto final_path = request_.data_directory / postgres::kControlFilePath;
  const auto temporary = final_path.string() + ".restoring";
  repository::PackReader reader(packs_);
  core::Bytes buffer(kWriteSize);
  write_range(reader, *control_file_, temporary, 0, control_file_->size, buffer);
  os::sync_file(os::open_file(temporary, O_WRONLY).get());
  files.rename(temporary, final_path);
  files.sync_directory(final_path.parent_path());
}

}  // namespace

RestoreResult restore_files(const Environment& environment, const RestoreRequest& request,
                            const ProgressCallback& progress, std::stop_token stop) {
  if (!request.repository.backup(request.instance, request.backup_id)) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("no backup '{}' of instance '{}' is stored", request.backup_id, request.instance));
  }
  try {
    return Restorer(environment, request).restore(progress, std::move(stop));
  } catch (core::Error& e) {
    throw std::move(e).add_context(
        fmt::format("restoring backup '{}' to '{}'", request.backup_id, request.data_directory.string()));
  }
}

}  // namespace backstay::backup
