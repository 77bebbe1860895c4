#include "backup/base_manifest.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::backup {
namespace {

std::size_t piece_count(std::uint64_t size) { return (size + kPieceSize - 1) / kPieceSize; }

/// How many extents lie in each piece; nothing if one reaches from a piece into the next, or bytes are missing.
std::optional<std::vector<std::uint32_t>> extents_by_piece(const repository::FileEntry& file) {
  std::vector<std::uint32_t> counts(piece_count(file.size));
  std::uint64_t end = 0;
  for (const repository::Extent& extent : file.extents) {
    const std::uint64_t piece = extent.file_offset / kPieceSize;
    if (extent.file_offset != end || (extent.file_offset + extent.length - 1) / kPieceSize != piece) return {};
    ++counts[piece];
    end += extent.length;
  }
  if (end != file.size) return {};
  return counts;
}

}  // namespace

BaseManifest::BaseManifest(repository::Repository& repository, const repository::BackupRecord& base)
    : reader_(repository, base) {
  entry_ = reader_.next();
}

const repository::FileEntry* BaseManifest::find(const std::string& path) {
  while (entry_ && repository::path_less(entry_->path, path)) entry_ = reader_.next();
  const bool found = entry_ && entry_->path == path && entry_->type == repository::EntryType::kFile;
  return found ? &*entry_ : nullptr;
}

void BaseManifest::rewind() {
  reader_.rewind();
  entry_ = reader_.next();
}

std::vector<repository::Extent> clip(const std::vector<repository::Extent>& extents, ByteRange range) {
  std::vector<repository::Extent> parts;
  auto extent = std::ranges::upper_bound(extents, range.from, {}, &repository::Extent::file_offset);
  if (extent != extents.begin()) --extent;
  for (; extent != extents.end() && extent->file_offset < range.to; ++extent) {
    const std::uint64_t from = std::max(extent->file_offset, range.from);
    const std::uint64_t to = std::min(extent->file_offset + extent->length, range.to);
    if (from >= to) continue;
    auto position = extent->position;
    position.offset += static_cast<std::uint32_t>(from - extent->file_offset);
    parts.push_back({.file_offset = from, .length = to - from, .position = position});
  }
  return parts;
}

bool covers(const std::vector<repository::Extent>& parts, ByteRange range) {
  for (const repository::Extent& part : parts) {
    if (part.file_offset != range.from) return false;
    range.from += part.length;
  }
  return range.from == range.to;
}

void complete(CopiedEntry& entry, const repository::FileEntry* base) {
  repository::FileEntry& file = entry.file;
  for (const ByteRange& kept : entry.kept) {
    const ByteRange range{kept.from, std::min(kept.to, file.size)};
    if (range.from >= range.to) continue;
    if (base == nullptr || range.to > base->size) {
      throw core::Error(core::Code::kInternal, fmt::format("the base lacks bytes of '{}'", file.path));
    }
    const auto parts = clip(base->extents, range);
    file.extents.insert(file.extents.end(), parts.begin(), parts.end());
  }
  std::ranges::sort(file.extents, {}, &repository::Extent::file_offset);
  if (entry.pieces.empty() || entry.pieces.size() != piece_count(file.size)) return;
  const auto counts = extents_by_piece(file);
  if (!counts) return;
  for (std::size_t i = 0; i < counts->size(); ++i) {
    file.chunks.push_back({.extents = (*counts)[i], .content = entry.pieces[i]});
  }
}

std::vector<repository::ContentId> pieces_of(const repository::FileEntry& entry) {
  const auto counts = extents_by_piece(entry);
  if (!counts || counts->size() != entry.chunks.size()) return {};
  std::vector<repository::ContentId> pieces;
  for (std::size_t i = 0; i < counts->size(); ++i) {
    if (entry.chunks[i].extents != (*counts)[i]) return {};
    pieces.push_back(entry.chunks[i].content);
  }
  return pieces;
}

}  // namespace backstay::backup
