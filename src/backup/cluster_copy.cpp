#include "backup/cluster_copy.h"

#include <algorithm>
#include <atomic>
#include <deque>

#include <fmt/format.h>

#include "backup/base_sample.h"
#include "backup/known_damage.h"
#include "backup/page_verifier.h"
#include "backup/parallel.h"
#include "backup/read_plan.h"
#include "core/error.h"
#include "core/mutex.h"
#include "os/file.h"
#include "os/untrusted_directory.h"
#include "postgres/cluster_files.h"
#include "postgres/page_checksum.h"

namespace backstay::backup {
namespace {

/// What one worker takes at a time of a large file, and as many bytes of small ones.
constexpr std::uint64_t kItemSize = 32U << 20;
constexpr std::uint64_t kSmallItemSize = 4U << 20;
constexpr std::size_t kReadSize = kPieceSize;
constexpr std::size_t kDamagedKept = 100;
constexpr int kControlFileReads = 50;

struct CopiedFile {
  postgres::ClusterEntry source;
  /// What is read of it. The rest is in the base, if there is any.
  std::vector<ByteRange> reads;
  /// Of a file that is known by its pieces: those of the base.
  bool by_pieces = false;
  std::vector<repository::ContentId> base_pieces;
  core::Mutex mutex;
  /// Set by whichever worker found it gone.
  bool vanished GUARDED_BY(mutex) = false;
  /// Where it was found to end, if that was before its size at the walk.
  std::uint64_t cut_at GUARDED_BY(mutex) = UINT64_MAX;
  std::vector<repository::Extent> extents GUARDED_BY(mutex);
  /// Pieces that were read, and found to be those of the base.
  std::vector<ByteRange> kept GUARDED_BY(mutex);
  std::vector<repository::ContentId> pieces GUARDED_BY(mutex);
};

/// Whole files [first, last), or bytes [from, to) of the one file `first`.
struct Item {
  std::size_t first = 0;
  std::size_t last = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

bool is_copied_now(const postgres::ClusterEntry& entry) {
  return entry.type == postgres::EntryType::kFile && entry.path != postgres::kControlFilePath && entry.size > 0;
}

/// What one worker copies of a file at a time.
struct PartCopy {
  int source = -1;
  /// The file's, as far as is known.
  std::uint64_t size = 0;
  bool at_end = false;
  std::vector<repository::Extent> extents = {};
  std::vector<ByteRange> kept = {};
  std::vector<repository::ContentId> pieces = {};
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
  void plan_whole();
  std::string plan_upon_base(std::stop_token stop);
  void plan_items();
  void copy_file(repository::PackWriter& writer, CopiedFile& file, ByteRange part, const std::stop_token& stop);
  void copy_range(repository::PackWriter& writer, CopiedFile& file, PartCopy& copy, ByteRange range,
                  const std::stop_token& stop);
  void store(repository::PackWriter& writer, CopiedFile& file, PartCopy& copy, std::uint64_t at, core::ByteSpan data);
  void note_damage(const std::string& file, const std::vector<std::uint32_t>& blocks);

  const Environment& environment_;
  const CopyRequest& request_;
  repository::PackUploader& uploader_;
  std::deque<CopiedFile> files_;
  std::vector<Item> items_;
  std::atomic<std::size_t> next_item_{0};
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t total_ = 0;
  std::uint64_t pages_kept_ = 0;
  std::string mismatch_;
  bool base_damaged_ = false;
  std::atomic<std::uint64_t> pages_checked_{0};
  core::Mutex mutex_;
  std::uint64_t pages_failed_ GUARDED_BY(mutex_) = 0;
  std::vector<DamagedPage> damaged_ GUARDED_BY(mutex_);
};

void Copier::walk(std::stop_token stop) {
  postgres::walk_cluster(request_.data_directory, stop, [&](const postgres::ClusterEntry& entry) {
    CopiedFile& file = files_.emplace_back();
    file.source = entry;
    file.by_pieces = request_.chunker != nullptr && !main_fork(entry);
  });
  if (request_.base != nullptr) mismatch_ = plan_upon_base(stop);
  if (request_.base == nullptr || !mismatch_.empty()) plan_whole();
  plan_items();
}

void Copier::plan_whole() {
  for (CopiedFile& file : files_) {
    file.reads.clear();
    add_range(file.reads, {0, file.source.size});
    file.base_pieces.clear();
  }
  pages_kept_ = 0;
}

/// What is wrong with the base, in words; empty if nothing was found to be.
std::string Copier::plan_upon_base(std::stop_token stop) {
  const CopyBase& base = *request_.base;
  SampleDraw draw(environment_.random);
  try {
    BaseManifest manifest(base.repository, base.record);
    for (CopiedFile& file : files_) {
      const repository::FileEntry* earlier = manifest.find(file.source.path);
      const auto fork = main_fork(file.source);
      file.reads.clear();
      if (earlier == nullptr || !fork) {
        add_range(file.reads, {0, file.source.size});
        if (earlier != nullptr && file.by_pieces) file.base_pieces = pieces_of(*earlier);
        continue;
      }
      file.reads = plan_reads(file.source, *fork, earlier->size, base.changes);
      draw.offer(file.source, complement(file.reads, file.source.size), *earlier);
    }
    pages_kept_ = draw.pages();
    return find_mismatch(environment_,
                         {.repository = base.repository,
                          .base_start = postgres::Lsn{base.record.start_lsn},
                          .start = request_.start,
                          .checksums = request_.checksums},
                         draw.take(), std::move(stop));
  } catch (const core::Error& e) {
    // A damaged base costs time, not the backup.
    if (!is_store_damage(e.code())) throw;
    base_damaged_ = true;
    return e.message();
  }
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
    const CopiedFile& file = files_[i];
    if (!is_copied_now(file.source) || file.reads.empty()) continue;
    const std::uint64_t wanted = total_size(file.reads);
    total_ += wanted;
    if (wanted <= kItemSize) {
      batch_size += wanted;
      if (batch_size >= kSmallItemSize) close_batch(i + 1);
      continue;
    }
    close_batch(i);
    const std::uint64_t size = file.source.size;
    for (std::uint64_t from = 0; from < size; from += kItemSize) {
      items_.push_back({.first = i, .last = i + 1, .from = from, .to = std::min(from + kItemSize, size)});
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
      if (!is_copied_now(file.source) || file.reads.empty()) continue;
      copy_file(writer, file, {item.from, item.to > 0 ? item.to : file.source.size}, stop);
    }
  }
  writer.finish();
}

/// What is to be read of the file in `part` of it.
void Copier::copy_file(repository::PackWriter& writer, CopiedFile& file, ByteRange part, const std::stop_token& stop) {
  os::Descriptor source;
  try {
    source = file.source.open();
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kNotFound) throw;
    const core::LockGuard lock(file.mutex);
    file.vanished = true;
    return;
  }
  PartCopy copy{.source = source.get(), .size = file.source.size};
  auto range = std::ranges::upper_bound(file.reads, part.from, {}, &ByteRange::to);
  for (; range != file.reads.end() && range->from < part.to && !copy.at_end; ++range) {
    copy_range(writer, file, copy, {std::max(range->from, part.from), std::min(range->to, part.to)}, stop);
  }
  const core::LockGuard lock(file.mutex);
  if (copy.at_end) file.cut_at = std::min(file.cut_at, copy.size);
  file.extents.insert(file.extents.end(), copy.extents.begin(), copy.extents.end());
  file.kept.insert(file.kept.end(), copy.kept.begin(), copy.kept.end());
  if (part.from == 0 && part.to == file.source.size) file.pieces = std::move(copy.pieces);
}

void Copier::copy_range(repository::PackWriter& writer, CopiedFile& file, PartCopy& copy, ByteRange range,
                        const std::stop_token& stop) {
  thread_local core::Bytes buffer(kReadSize);
  PageVerifier verifier(environment_.clock, request_.start);
  for (std::uint64_t at = range.from; at < range.to && !stop.stop_requested();) {
    const core::MutableByteSpan wanted(buffer.data(), std::min<std::uint64_t>(kReadSize, range.to - at));
    const core::MutableByteSpan data = wanted.first(os::read_at(copy.source, at, wanted));
    if (request_.checksums && file.source.first_block) {
      note_damage(file.source.path, verifier.verify(copy.source, data, at, *file.source.first_block, stop));
      pages_checked_ += data.size() / postgres::kPageSize;
    }
    store(writer, file, copy, at, data);
    at += data.size();
    done_ += data.size();
    if (request_.pace != nullptr) request_.pace->make_way(stop);
    if (data.size() == wanted.size()) continue;
    copy.at_end = true;
    copy.size = at;
    return;
  }
}

/// Puts what was read into a pack, unless it is a piece that the base has.
void Copier::store(repository::PackWriter& writer, CopiedFile& file, PartCopy& copy, std::uint64_t at,
                   core::ByteSpan data) {
  if (data.empty()) return;
  if (!file.by_pieces) return writer.add(at, data, copy.extents);
  const std::size_t piece = at / kPieceSize;
  const auto id = request_.chunker->identify(data);
  if (copy.pieces.size() == piece) copy.pieces.push_back(id);
  if (piece < file.base_pieces.size() && file.base_pieces[piece] == id) {
    add_range(copy.kept, {at, at + data.size()});
    return;
  }
  // Every piece has extents of its own.
  std::vector<repository::Extent> extents;
  writer.add(at, data, extents);
  copy.extents.insert(copy.extents.end(), extents.begin(), extents.end());
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
    const bool is_file =
        file.source.type == postgres::EntryType::kFile && file.source.path != postgres::kControlFilePath;
    CopiedEntry& entry = copy.entries.emplace_back();
    entry.file.path = std::move(file.source.path);
    entry.file.type = file.source.type == postgres::EntryType::kFile        ? repository::EntryType::kFile
                      : file.source.type == postgres::EntryType::kDirectory ? repository::EntryType::kDirectory
                                                                            : repository::EntryType::kSymlink;
    entry.file.mode = file.source.mode;
    entry.file.modified = file.source.modified;
    entry.file.link_target = std::move(file.source.link_target);
    if (!is_file) continue;
    entry.file.size = std::min(file.source.size, file.cut_at);
    std::ranges::sort(file.extents, {}, &repository::Extent::file_offset);
    // Another worker may have read on where this one found the end.
    entry.file.extents = clip(file.extents, {0, entry.file.size});
    entry.kept = file.by_pieces ? std::move(file.kept) : complement(file.reads, entry.file.size);
    entry.pieces = std::move(file.pieces);
  }
  const core::LockGuard lock(mutex_);
  copy.bytes = done_;
  copy.pages_checked = pages_checked_;
  copy.pages_failed = pages_failed_;
  copy.damaged = std::move(damaged_);
  copy.pages_kept = pages_kept_;
  copy.mismatch = std::move(mismatch_);
  copy.base_damaged = base_damaged_;
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
