#include "backup/cluster_copy.h"

#include <algorithm>
#include <atomic>

#include <fmt/format.h>

#include "backup/base_sample.h"
#include "backup/copy_queue.h"
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

constexpr std::size_t kReadSize = kPieceSize;
constexpr std::size_t kDamagedKept = 100;
constexpr int kControlFileReads = 50;

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
  Copier(const Environment& environment, const CopyRequest& request, repository::PackUploader& uploader,
         EntryList& copied)
      : environment_(environment),
        request_(request),
        uploader_(uploader),
        walked_(environment, request.scratch_directory),
        plan_([this](CopiedFile& file) { plan(file); }),
        queue_(walked_, copied, plan_) {}

  void walk(const std::stop_token& stop);
  void work(std::stop_token stop);
  ClusterCopy take();

  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  void open_base();
  void give_up_base(const std::string& damage);
  void choose_upon_base(const postgres::ClusterEntry& found, SampleDraw& draw);
  void compare_with_base(const SampleDraw& draw, std::stop_token stop);
  void plan(CopiedFile& file);
  const repository::FileEntry* find_in_base(const std::string& path);
  [[nodiscard]] std::vector<ByteRange> reads_of(const postgres::ClusterEntry& found,
                                                const repository::FileEntry* earlier) const;
  void copy_file(repository::PackWriter& writer, CopiedFile& file, ByteRange part, const std::stop_token& stop);
  void copy_range(repository::PackWriter& writer, CopiedFile& file, PartCopy& copy, ByteRange range,
                  const std::stop_token& stop);
  void store(repository::PackWriter& writer, CopiedFile& file, PartCopy& copy, std::uint64_t at, core::ByteSpan data);
  void note_damage(const std::string& file, const std::vector<std::uint32_t>& blocks);

  const Environment& environment_;
  const CopyRequest& request_;
  repository::PackUploader& uploader_;
  WalkList walked_;
  /// Read along with the walk, and once more with the copy. Empty if there is none, or if it is not used.
  std::optional<BaseManifest> base_;
  const CopyQueue::Plan plan_;
  CopyQueue queue_;
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t total_ = 0;
  std::uint64_t total_upon_base_ = 0;
  std::uint64_t pages_kept_ = 0;
  std::string mismatch_;
  std::string late_damage_;
  bool base_damaged_ = false;
  std::atomic<std::uint64_t> pages_checked_{0};
  core::Mutex mutex_;
  std::uint64_t pages_failed_ GUARDED_BY(mutex_) = 0;
  std::vector<DamagedPage> damaged_ GUARDED_BY(mutex_);
};

/// Whether the base is used is known before anything is copied.
void Copier::walk(const std::stop_token& stop) {
  SampleDraw draw(environment_.random);
  open_base();
  postgres::walk_cluster(request_.data_directory, stop, [&](const postgres::ClusterEntry& found) {
    walked_.add(found);
    if (is_copied_now(found)) total_ += found.size;
    if (base_) choose_upon_base(found, draw);
  });
  if (base_) compare_with_base(draw, stop);
  if (base_) total_ = total_upon_base_;
  walked_.rewind();
}

/// A damaged base costs time, not the backup.
void Copier::give_up_base(const std::string& damage) {
  base_damaged_ = true;
  mismatch_ = damage;
  base_.reset();
}

void Copier::open_base() {
  if (request_.base == nullptr) return;
  try {
    base_.emplace(request_.base->repository, request_.base->record);
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code())) throw;
    give_up_base(e.message());
  }
}

void Copier::choose_upon_base(const postgres::ClusterEntry& found, SampleDraw& draw) {
  try {
    const repository::FileEntry* const earlier = base_->find(found.path);
    const auto reads = reads_of(found, earlier);
    if (is_copied_now(found)) total_upon_base_ += total_size(reads);
    if (earlier != nullptr && main_fork(found)) draw.offer(found, complement(reads, found.size), *earlier);
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code())) throw;
    give_up_base(e.message());
  }
}

void Copier::compare_with_base(const SampleDraw& draw, std::stop_token stop) {
  const CopyBase& base = *request_.base;
  try {
    mismatch_ = find_mismatch(environment_,
                              {.repository = base.repository,
                               .base_start = postgres::Lsn{base.record.start_lsn},
                               .start = request_.start,
                               .checksums = request_.checksums},
                              draw.take(), std::move(stop));
    base_->rewind();
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code())) throw;
    give_up_base(e.message());
  }
  if (!mismatch_.empty()) base_.reset();
}

std::vector<ByteRange> Copier::reads_of(const postgres::ClusterEntry& found,
                                        const repository::FileEntry* earlier) const {
  const auto fork = earlier != nullptr ? main_fork(found) : std::nullopt;
  if (fork) return plan_reads(found, *fork, earlier->size, request_.base->changes);
  std::vector<ByteRange> whole;
  add_range(whole, {0, found.size});
  return whole;
}

void Copier::plan(CopiedFile& file) {
  file.by_pieces = request_.chunker != nullptr && !main_fork(file.source);
  const repository::FileEntry* const earlier = find_in_base(file.source.path);
  file.reads = reads_of(file.source, earlier);
  pages_kept_ += total_size(complement(file.reads, file.source.size)) / postgres::kPageSize;
  if (earlier == nullptr) return;
  if (file.by_pieces) file.base_pieces = pieces_of(*earlier);
  if (!file.by_pieces || !file.base_pieces.empty()) file.earlier = *earlier;
}

/// What was taken over from the base by now is in its packs, which the sample has seen.
const repository::FileEntry* Copier::find_in_base(const std::string& path) {
  if (!base_) return nullptr;
  try {
    return base_->find(path);
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code())) throw;
    late_damage_ = e.message();
    base_.reset();
    return nullptr;
  }
}

void Copier::work(std::stop_token stop) {
  const std::stop_callback abort(stop, [this] { queue_.abort(); });
  repository::PackWriter writer(uploader_);
  while (const auto item = queue_.take()) {
    for (CopiedFile* const file : item->files) {
      if (!is_copied_now(file->source) || file->reads.empty()) continue;
      copy_file(writer, *file, item->part.value_or(ByteRange{0, file->source.size}), stop);
    }
    if (stop.stop_requested()) return;
    queue_.finish(*item);
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
  const core::LockGuard lock(mutex_);
  copy.bytes = done_;
  copy.pages_checked = pages_checked_;
  copy.pages_failed = pages_failed_;
  copy.damaged = std::move(damaged_);
  copy.pages_kept = pages_kept_;
  copy.mismatch = std::move(mismatch_);
  copy.base_damaged = base_damaged_;
  copy.late_damage = std::move(late_damage_);
  return copy;
}

}  // namespace

ClusterCopy copy_cluster(const Environment& environment, const CopyRequest& request, repository::PackUploader& uploader,
                         EntryList& copied, const ProgressCallback& progress, std::stop_token stop) {
  Copier copier(environment, request, uploader, copied);
  copier.walk(stop);
  const auto tick = [&] {
    const std::uint64_t done = copier.done();
    if (progress) progress({.phase = "copy", .done = done, .total = std::max(done, copier.total())});
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
