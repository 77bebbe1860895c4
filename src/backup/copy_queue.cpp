#include "backup/copy_queue.h"

#include <algorithm>
#include <utility>

#include "postgres/control_file.h"

namespace backstay::backup {
namespace {

/// What one worker takes at a time of a large file, and as many bytes of small ones.
constexpr std::uint64_t kItemSize = 32U << 20;
constexpr std::uint64_t kSmallItemSize = 4U << 20;
constexpr std::size_t kSmallItemFiles = 512;
/// Of files that wait for one before them.
constexpr std::size_t kMostHeld = 4U << 20;
constexpr std::size_t kSmallItemWeight = 1U << 20;

std::uint64_t wanted_of(const CopiedFile& file) { return is_copied_now(file.source) ? total_size(file.reads) : 0; }

std::size_t weight_of(const CopiedFile& file) {
  std::size_t weight = sizeof(CopiedFile) + 2 * file.source.path.size();
  weight += file.reads.size() * sizeof(ByteRange) + file.base_pieces.size() * sizeof(repository::ContentId);
  if (file.earlier) weight += file.earlier->extents.size() * sizeof(repository::Extent);
  return weight;
}

/// What the manifest says of it. Nobody else works on the file any more.
std::optional<repository::FileEntry> result_of(CopiedFile& file) {
  const core::LockGuard lock(file.mutex);
  if (file.vanished) return std::nullopt;
  CopiedEntry copied{.file = entry_of(file.source)};
  if (file.source.type != postgres::EntryType::kFile || file.source.path == postgres::kControlFilePath) {
    return std::move(copied.file);
  }
  copied.file.size = std::min(file.source.size, file.cut_at);
  std::ranges::sort(file.extents, {}, &repository::Extent::file_offset);
  // Another worker may have read on where this one found the end.
  copied.file.extents = clip(file.extents, {0, copied.file.size});
  copied.kept = file.by_pieces ? std::move(file.kept) : complement(file.reads, copied.file.size);
  copied.pieces = std::move(file.pieces);
  complete(copied, file.earlier ? &*file.earlier : nullptr);
  return std::move(copied.file);
}

}  // namespace

bool is_copied_now(const postgres::ClusterEntry& entry) {
  return entry.type == postgres::EntryType::kFile && entry.path != postgres::kControlFilePath && entry.size > 0;
}

std::optional<CopyQueue::Item> CopyQueue::take() {
  {
    const core::LockGuard lock(mutex_);
    // Files before those that wait are with workers that do not wait, so that they come to an end.
    while (!aborted_ && large_ == nullptr && (reading_ || weight_ > kMostHeld)) changed_.wait(mutex_);
    if (aborted_) return std::nullopt;
    if (large_ != nullptr) return next_part();
    reading_ = true;
  }
  Files files = read_files();
  const core::LockGuard lock(mutex_);
  reading_ = false;
  changed_.notify_all();
  if (files.empty()) return std::nullopt;
  return give_out(std::move(files));
}

/// Small ones for one item, or up to a large one.
CopyQueue::Files CopyQueue::read_files() {
  Files files;
  std::uint64_t bytes = 0;
  std::size_t weight = 0;
  while (bytes < kSmallItemSize && weight < kSmallItemWeight && files.size() < kSmallItemFiles) {
    auto found = walked_.next();
    if (!found) break;
    CopiedFile& file = *files.emplace_back(std::make_unique<CopiedFile>());
    file.source = *std::move(found);
    plan_(file);
    file.weight = weight_of(file);
    weight += file.weight;
    const std::uint64_t wanted = wanted_of(file);
    bytes += wanted;
    if (wanted <= kItemSize) continue;
    file.parts = (file.source.size + kItemSize - 1) / kItemSize;
    break;
  }
  return files;
}

CopyQueue::Item CopyQueue::give_out(Files files) {
  Item item;
  for (auto& file : files) {
    weight_ += file->weight;
    if (wanted_of(*file) > kItemSize) {
      large_ = file.get();
      next_part_ = 0;
    } else {
      item.files.push_back(file.get());
    }
    files_.push_back(std::move(file));
  }
  return item.files.empty() ? next_part() : item;
}

CopyQueue::Item CopyQueue::next_part() {
  const std::uint64_t size = large_->source.size;
  Item item{.files = {large_}, .part = ByteRange{next_part_, std::min(next_part_ + kItemSize, size)}};
  next_part_ = item.part->to;
  if (next_part_ == size) {
    large_ = nullptr;
    changed_.notify_all();
  }
  return item;
}

void CopyQueue::finish(const Item& item) {
  std::vector<CopiedFile*> finished;
  for (CopiedFile* const file : item.files) {
    if (--file->parts > 0) continue;
    file->result = result_of(*file);
    finished.push_back(file);
  }
  {
    const core::LockGuard lock(mutex_);
    for (CopiedFile* const file : finished) file->finished = true;
  }
  write_finished();
}

void CopyQueue::write_finished() {
  {
    const core::LockGuard lock(mutex_);
    if (std::exchange(writing_, true)) return;
  }
  for (;;) {
    Files finished;
    {
      const core::LockGuard lock(mutex_);
      finished = take_finished();
      if (finished.empty()) writing_ = false;
      changed_.notify_all();
    }
    if (finished.empty()) return;
    for (const auto& file : finished) {
      if (file->result) copied_.add(*file->result);
    }
  }
}

CopyQueue::Files CopyQueue::take_finished() {
  Files finished;
  while (!files_.empty() && files_.front()->finished) {
    weight_ -= files_.front()->weight;
    finished.push_back(std::move(files_.front()));
    files_.pop_front();
  }
  return finished;
}

void CopyQueue::abort() {
  const core::LockGuard lock(mutex_);
  aborted_ = true;
  changed_.notify_all();
}

}  // namespace backstay::backup
