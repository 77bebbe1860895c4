#include "backup/cluster_copy.h"

#include <algorithm>
#include <atomic>
#include <deque>

#include <fmt/format.h>

#include "backup/page_verifier.h"
#include "backup/parallel.h"
#include "core/error.h"
#include "core/mutex.h"
#include "os/file.h"
#include "os/untrusted_directory.h"
#include "postgres/cluster_files.h"

namespace backstay::backup {
namespace {

/// What one worker takes at a time of a large file, and as many bytes of small ones.
constexpr std::uint64_t kItemSize = 32U << 20;
constexpr std::uint64_t kSmallItemSize = 4U << 20;
constexpr std::size_t kReadSize = 256 * 1024;
constexpr std::size_t kDamagedKept = 100;
constexpr int kControlFileReads = 50;

struct CopiedFile {
  postgres::ClusterEntry source;
  core::Mutex mutex;
  /// Set by whichever worker found it gone.
  bool vanished GUARDED_BY(mutex) = false;
  std::uint64_t size GUARDED_BY(mutex) = 0;
  std::vector<repository::Extent> extents GUARDED_BY(mutex);
};

/// Whole files [first, last), or bytes [from, to) of the one file `first`.
struct Item {
  std::size_t first = 0;
  std::size_t last = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

class Copier {
 public:
  Copier(const Environment& environment, const CopyRequest& request, repository::PackUploader& uploader)
      : environment_(environment), request_(request), uploader_(uploader) {}

  void walk(std::stop_token stop);
  void work(std::stop_token stop);
  ClusterCopy take();

  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  void plan_items();
  void copy_range(repository::PackWriter& writer, CopiedFile& file, std::uint64_t from, std::uint64_t to,
                  std::stop_token stop);
  void note_damage(const std::string& file, const std::vector<std::uint32_t>& blocks);

  const Environment& environment_;
  const CopyRequest& request_;
  repository::PackUploader& uploader_;
  std::deque<CopiedFile> files_;
  std::vector<Item> items_;
  std::atomic<std::size_t> next_item_{0};
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t total_ = 0;
  std::atomic<std::uint64_t> pages_checked_{0};
  core::Mutex mutex_;
  std::uint64_t pages_failed_ GUARDED_BY(mutex_) = 0;
  std::vector<DamagedPage> damaged_ GUARDED_BY(mutex_);
};

void Copier::walk(std::stop_token stop) {
  postgres::walk_cluster(request_.data_directory, stop,
                         [&](const postgres::ClusterEntry& entry) { files_.emplace_back().source = entry; });
  plan_items();
}

bool is_copied_now(const postgres::ClusterEntry& entry) {
  return entry.type == postgres::EntryType::kFile && entry.path != postgres::kControlFilePath && entry.size > 0;
}

void Copier::plan_items() {
  Item batch;
  std::uint64_t batch_size = 0;
  const auto close_batch = [&](std::size_t next) {
    batch.last = next;
    if (batch_size > 0) items_.push_back(batch);
    batch = {.first = next};
    batch_size = 0;
  };
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const auto& entry = files_[i].source;
    if (!is_copied_now(entry)) continue;
    total_ += entry.size;
    if (entry.size <= kItemSize) {
      batch_size += entry.size;
      if (batch_size >= kSmallItemSize) close_batch(i + 1);
      continue;
    }
    close_batch(i);
    for (std::uint64_t from = 0; from < entry.size; from += kItemSize) {
      items_.push_back({.first = i, .last = i + 1, .from = from, .to = std::min(from + kItemSize, entry.size)});
    }
    batch.first = i + 1;
  }
  close_batch(files_.size());
}

void Copier::work(std::stop_token stop) {
  repository::PackWriter writer(uploader_);
  for (std::size_t i = next_item_++; i < items_.size() && !stop.stop_requested(); i = next_item_++) {
    const Item& item = items_[i];
    for (std::size_t f = item.first; f < item.last; ++f) {
      CopiedFile& file = files_[f];
      if (!is_copied_now(file.source)) continue;
      copy_range(writer, file, item.from, item.to > 0 ? item.to : file.source.size, stop);
    }
  }
  writer.finish();
}

void Copier::copy_range(repository::PackWriter& writer, CopiedFile& file, std::uint64_t from, std::uint64_t to,
                        std::stop_token stop) {
  thread_local core::Bytes buffer(kReadSize);
  os::Descriptor source;
  try {
    source = file.source.open();
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kNotFound) throw;
    const core::LockGuard lock(file.mutex);
    file.vanished = true;
    return;
  }
  PageVerifier verifier(environment_.clock, request_.start);
  std::vector<repository::Extent> extents;
  std::uint64_t at = from;
  while (at < to && !stop.stop_requested()) {
    const core::MutableByteSpan wanted(buffer.data(), std::min<std::uint64_t>(kReadSize, to - at));
    const core::MutableByteSpan data = wanted.first(os::read_at(source.get(), at, wanted));
    if (data.empty()) break;
    if (request_.checksums && file.source.first_block) {
      note_damage(file.source.path, verifier.verify(source.get(), data, at, *file.source.first_block, stop));
      pages_checked_ += data.size() / 8192;
    }
    writer.add(at, data, extents);
    at += data.size();
    done_ += data.size();
  }
  const core::LockGuard lock(file.mutex);
  file.size = std::max(file.size, at > from ? at : 0);
  file.extents.insert(file.extents.end(), extents.begin(), extents.end());
}

void Copier::note_damage(const std::string& file, const std::vector<std::uint32_t>& blocks) {
  if (blocks.empty()) return;
  const core::LockGuard lock(mutex_);
  pages_failed_ += blocks.size();
  for (const std::uint32_t block : blocks) {
    if (damaged_.size() < kDamagedKept) damaged_.push_back({file, block});
  }
}

ClusterCopy Copier::take() {
  ClusterCopy copy;
  for (CopiedFile& file : files_) {
    const core::LockGuard lock(file.mutex);
    if (file.vanished) continue;
    repository::FileEntry entry;
    entry.path = std::move(file.source.path);
    entry.type = file.source.type == postgres::EntryType::kFile        ? repository::EntryType::kFile
                 : file.source.type == postgres::EntryType::kDirectory ? repository::EntryType::kDirectory
                                                                       : repository::EntryType::kSymlink;
    entry.mode = file.source.mode;
    entry.modified = file.source.modified;
    entry.size = file.size;
    entry.link_target = std::move(file.source.link_target);
    entry.extents = std::move(file.extents);
    std::ranges::sort(entry.extents, {}, &repository::Extent::file_offset);
    copy.entries.push_back(std::move(entry));
  }
  const core::LockGuard lock(mutex_);
  copy.bytes = done_;
  copy.pages_checked = pages_checked_;
  copy.pages_failed = pages_failed_;
  copy.damaged = std::move(damaged_);
  return copy;
}

}  // namespace

ClusterCopy copy_cluster(const Environment& environment, const CopyRequest& request, repository::PackUploader& uploader,
                         const ProgressCallback& progress, std::stop_token stop) {
  Copier copier(environment, request, uploader);
  copier.walk(stop);
  const auto tick = [&] {
    if (progress) progress({.phase = "copy", .done = copier.done(), .total = copier.total()});
  };
  tick();
  run_parallel(request.workers, stop, [&](std::stop_token token) { copier.work(token); }, tick);
  tick();
  return copier.take();
}

core::Bytes read_control_file(core::Clock& clock, const std::filesystem::path& data_directory, std::stop_token stop) {
  const os::UntrustedDirectory directory(data_directory);
  for (int attempt = 1;; ++attempt) {
    auto bytes = directory.read_file(std::string(postgres::kControlFilePath), postgres::kControlFileLimit);
    try {
      postgres::parse_control_file(bytes);
      return bytes;
    } catch (const core::Error& e) {
      if (e.code() != core::Code::kCorruptData || attempt == kControlFileReads) throw;
    }
    clock.wait(stop, std::chrono::milliseconds(10));
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
  }
}

}  // namespace backstay::backup
