#include "backup/restore.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>

#include <fmt/format.h>

#include "backup/base_manifest.h"
#include "backup/parallel.h"
#include "core/bounded_queue.h"
#include "core/error.h"
#include "os/file.h"
#include "os/file_system.h"
#include "os/untrusted_directory.h"
#include "postgres/control_file.h"
#include "repository/manifest.h"
#include "repository/pack_reader.h"

namespace backstay::backup {
namespace {

/// What a worker takes at a time: small, so that all together are at few packs at once.
constexpr std::uint64_t kItemSize = 4U << 20;
constexpr std::size_t kSmallItemFiles = 256;
constexpr std::size_t kWriteSize = 1U << 20;
/// What is smaller goes with the sync at the end: there may be a million such files.
constexpr std::size_t kWriteBackSize = 256U << 10;
constexpr std::size_t kQueuedItems = 16;
constexpr mode_t kDirectoryMode = 0700;
/// So many fit into memory whole.
constexpr std::size_t kFewPacks = 6;
/// A pack of a full backup holds what lies together in the order of files, but for what other workers took meanwhile.
constexpr std::uint64_t kPackReach = 256U << 20;
constexpr std::uint64_t kLittle = 2U << 20;
constexpr std::uint64_t kLittleData = 128U << 20;
constexpr std::size_t kCapacity = 64U << 20;
constexpr std::string_view kTablespaces = "pg_tblspc/";

/// A file to write, and where: in the data directory or in that of the tablespaces.
struct Target {
  repository::FileEntry entry;
  const os::UntrustedDirectory* directory = nullptr;
  std::string path;  // in it
};
using TargetFile = std::shared_ptr<const Target>;

/// Whole files, or bytes [from, to) of the only one, which is there already.
struct Item {
  std::vector<TargetFile> files;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

/// What a restore wants of a pack.
struct Wanted {
  std::uint64_t bytes = 0;
  /// Where it wants it first and last, in the bytes of all files.
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// All of it may be in memory at once.
bool is_little(const repository::ManifestReader& manifest) {
  return manifest.packs().size() <= kFewPacks && manifest.data_size() <= kLittleData;
}

/// Packs of which the restore wants little, or something now and then, all the time: such as those of a backup that was
/// taken upon many others. The manifest is at its begin again afterwards.
std::set<repository::ObjectId> scattered_packs(repository::ManifestReader& manifest) {
  if (is_little(manifest)) return {};
  std::map<repository::ObjectId, Wanted> packs;
  std::uint64_t at = 0;
  while (const auto entry = manifest.next()) {
    for (const repository::Extent& extent : entry->extents) {
      Wanted& wanted = packs[extent.position.pack];
      if (wanted.bytes == 0) wanted.first = at + extent.file_offset;
      wanted.last = at + extent.file_offset;
      wanted.bytes += extent.length;
    }
    at += entry->size;
  }
  manifest.rewind();
  std::set<repository::ObjectId> scattered;
  for (const auto& [pack, wanted] : packs) {
    if (wanted.last - wanted.first > kPackReach || wanted.bytes < kLittle) scattered.insert(pack);
  }
  return scattered;
}

repository::PackCacheOptions cache_options(repository::ManifestReader& manifest) {
  repository::PackCacheOptions options;
  options.scattered = scattered_packs(manifest);
  if (!is_little(manifest)) options.capacity = kCapacity;
  return options;
}

class Restorer {
 public:
  Restorer(const Environment& environment, const RestoreRequest& request, const repository::BackupRecord& record)
      : environment_(environment),
        request_(request),
        manifest_(request.repository, record),
        packs_(request.repository, cache_options(manifest_)),
        items_(kQueuedItems) {
    begin_packs();
  }

  RestoreResult restore(const ProgressCallback& progress, std::stop_token stop);

 private:
  void begin_packs();
  void prepare_target();
  void read_manifest(const std::stop_token& stop);
  void take_entry(repository::FileEntry entry);
  [[nodiscard]] Target locate(repository::FileEntry entry) const;
  void add_item(Item item);
  void flush_batch();
  void make_tablespace(const repository::FileEntry& entry);
  void open_tablespaces();
  void write_items(const std::stop_token& stop);
  void write_range(repository::PackReader& reader, const repository::FileEntry& entry, const os::Descriptor& file,
                   std::uint64_t from, std::uint64_t to, core::Bytes& buffer);
  void put(const os::Descriptor& file, std::uint64_t at, core::ByteSpan bytes);
  void finish();
  void own(const std::filesystem::path& path) const {
    if (request_.identity) environment_.files.set_owner(path, request_.identity->uid, request_.identity->gid);
  }

  const Environment& environment_;
  const RestoreRequest& request_;
  repository::ManifestReader manifest_;
  repository::PackCache packs_;
  core::BoundedQueue<Item> items_;
  std::vector<std::jthread> ahead_;
  Item batch_;
  std::uint64_t batch_size_ = 0;
  /// What a manifest says is not trusted to stay in these.
  std::optional<os::UntrustedDirectory> data_;
  std::optional<os::UntrustedDirectory> tablespaces_;
  std::set<std::string> tablespace_links_;
  TargetFile control_file_;
  RestoreResult result_;
  std::atomic<std::uint64_t> written_{0};
};

/// Where there are few packs and little in them, all are on their way before the first file is made.
void Restorer::begin_packs() {
  if (!is_little(manifest_)) return;
  for (const repository::ObjectId& pack : manifest_.packs()) {
    ahead_.emplace_back([this, pack] {
      try {
        packs_.get(pack);
      } catch (...) {  // NOLINT(bugprone-empty-catch): who needs it asks again, and hears why
      }
    });
  }
}

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
  data_.emplace(target);
}

void Restorer::read_manifest(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto entry = manifest_.next();
    if (!entry) break;
    take_entry(*std::move(entry));
  }
  flush_batch();
  items_.close();
}

void Restorer::take_entry(repository::FileEntry entry) {
  if (entry.type == repository::EntryType::kSymlink) return make_tablespace(entry);
  // The links are made here, to new places; the map would make PostgreSQL link to the old ones.
  if (entry.path == "tablespace_map") return;
  auto file = std::make_shared<const Target>(locate(std::move(entry)));
  if (file->entry.type == repository::EntryType::kDirectory) {
    file->directory->make_directory(file->path, request_.identity);
    return;
  }
  ++result_.files;
  if (file->entry.path == postgres::kControlFilePath) {
    control_file_ = std::move(file);
    return;
  }
  const std::uint64_t size = file->entry.size;
  if (size <= kItemSize) {
    batch_size_ += size;
    batch_.files.push_back(std::move(file));
    if (batch_size_ >= kItemSize || batch_.files.size() >= kSmallItemFiles) flush_batch();
    return;
  }
  file->directory->create(file->path, request_.identity);
  for (std::uint64_t from = 0; from < size; from += kItemSize) {
    add_item({.files = {file}, .from = from, .to = std::min(from + kItemSize, size)});
  }
}

/// What lies behind a tablespace's link goes to where the link leads.
Target Restorer::locate(repository::FileEntry entry) const {
  const std::string path = entry.path;
  if (path.starts_with(kTablespaces)) {
    const auto slash = path.find('/', kTablespaces.size());
    if (slash != std::string::npos && tablespace_links_.contains(path.substr(0, slash))) {
      return {std::move(entry), &*tablespaces_, path.substr(kTablespaces.size())};
    }
  }
  return {std::move(entry), &*data_, path};
}

void Restorer::add_item(Item item) { items_.push(std::move(item)); }

void Restorer::flush_batch() {
  if (!batch_.files.empty()) add_item(std::exchange(batch_, {}));
  batch_size_ = 0;
}

void Restorer::open_tablespaces() {
  if (tablespaces_) return;
  environment_.files.make_directories(request_.tablespace_directory, kDirectoryMode);
  own(request_.tablespace_directory);
  tablespaces_.emplace(std::filesystem::absolute(request_.tablespace_directory));
}

void Restorer::make_tablespace(const repository::FileEntry& entry) {
  const std::string name = entry.path.starts_with(kTablespaces) ? entry.path.substr(kTablespaces.size()) : "";
  if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos) {
    throw core::Error(core::Code::kCorruptData,
                      fmt::format("the manifest has a symbolic link '{}' that is no tablespace", entry.path));
  }
  open_tablespaces();
  if (!tablespaces_->stat(name)) {
    tablespaces_->make_directory(name, request_.identity);
  } else if (!tablespaces_->list(name).empty()) {
    throw core::Error(core::Code::kConflict, fmt::format("the tablespace directory '{}' is not empty",
                                                         (tablespaces_->path() / name).string()));
  }
  data_->make_symlink(tablespaces_->path() / name, entry.path, request_.identity);
  tablespace_links_.insert(entry.path);
}

void Restorer::write_items(const std::stop_token& stop) {
  repository::PackReader reader(packs_);
  core::Bytes buffer(kWriteSize);
  while (const auto item = items_.pop()) {
    const bool whole = item->to == 0;
    for (const TargetFile& file : item->files) {
      if (stop.stop_requested()) return;
      const os::Descriptor opened =
          whole ? file->directory->create(file->path, request_.identity) : file->directory->open(file->path, O_WRONLY);
      write_range(reader, file->entry, opened, item->from, whole ? file->entry.size : item->to, buffer);
    }
  }
}

void Restorer::write_range(repository::PackReader& reader, const repository::FileEntry& entry,
                           const os::Descriptor& file, std::uint64_t from, std::uint64_t to, core::Bytes& buffer) {
  auto parts = clip(entry.extents, {from, to});
  if (!covers(parts, {from, to})) parts = {};
  // What lies together in a pack is read together, wherever it belongs in the file.
  std::ranges::sort(parts, {}, [](const repository::Extent& part) {
    return std::tie(part.position.pack, part.position.group, part.position.offset);
  });
  for (const repository::Extent& part : parts) {
    for (std::uint64_t at = 0; at < part.length;) {
      const core::MutableByteSpan piece(buffer.data(), std::min<std::uint64_t>(buffer.size(), part.length - at));
      reader.read(part, at, piece);
      put(file, part.file_offset + at, piece);
      at += piece.size();
    }
  }
  // A file with holes goes as it lies.
  for (std::uint64_t at = from; parts.empty() && at < to;) {
    const core::MutableByteSpan piece(buffer.data(), std::min<std::uint64_t>(buffer.size(), to - at));
    reader.read_file(entry.extents, at, piece);
    put(file, at, piece);
    at += piece.size();
  }
  // Left to the end, all of it would wait for the disk there.
  if (to - from >= kWriteBackSize) os::begin_write_back(file.get(), from, to - from);
}

void Restorer::put(const os::Descriptor& file, std::uint64_t at, core::ByteSpan bytes) {
  os::write_at(file.get(), at, bytes);
  written_ += bytes.size();
}

void Restorer::finish() {
  if (!control_file_) {
    throw core::Error(core::Code::kCorruptData,
                      fmt::format("the backup '{}' has no '{}'", request_.backup_id, postgres::kControlFilePath));
  }
  data_->sync_file_system();
  if (tablespaces_) tablespaces_->sync_file_system();
  const std::string final_path(postgres::kControlFilePath);
  const std::string temporary = final_path + ".restoring";
  repository::PackReader reader(packs_);
  core::Bytes buffer(kWriteSize);
  const os::Descriptor file = data_->create(temporary, request_.identity);
  write_range(reader, control_file_->entry, file, 0, control_file_->entry.size, buffer);
  os::sync_file(file.get());
  data_->rename(temporary, final_path);
  data_->sync_directory(final_path.substr(0, final_path.rfind('/')));
}

}  // namespace

RestoreResult restore_files(const Environment& environment, const RestoreRequest& request,
                            const ProgressCallback& progress, std::stop_token stop) {
  const auto record = request.record ? request.record : request.repository.backup(request.instance, request.backup_id);
  if (!record) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("no backup '{}' of instance '{}' is stored", request.backup_id, request.instance));
  }
  if (record->mechanism != "physical") {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("the backup '{}' is {}: it has no data directory",
                                                                record->backup, record->mechanism));
  }
  try {
    return Restorer(environment, request, *record).restore(progress, std::move(stop));
  } catch (core::Error& e) {
    throw std::move(e).add_context(
        fmt::format("restoring backup '{}' to '{}'", request.backup_id, request.data_directory.string()));
  }
}

}  // namespace backstay::backup
