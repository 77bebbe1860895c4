#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/entry_rules.h"
#include "repository/manifest.h"
#include "repository/second_reading.h"
#include "repository/varint.h"

namespace backstay::repository {
namespace {

using detail::FieldReader;

/// How much of a manifest one request reads.
constexpr std::uint64_t kReadAhead = 4 * 1024 * 1024;

void read_extents(FieldReader& in, const std::vector<ObjectId>& packs, FileEntry& entry) {
  const std::uint64_t count = in.number();
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    Extent extent;
    extent.file_offset = end + in.number();
    extent.length = in.number();
    const std::uint64_t pack = in.number();
    if (pack >= packs.size()) throw core::Error(core::Code::kCorruptData, "a manifest names a pack it does not list");
    extent.position = {.pack = packs[pack],
                       .group = static_cast<std::uint32_t>(in.number()),
                       .offset = static_cast<std::uint32_t>(in.number())};
    end = extent.file_offset + extent.length;
    entry.extents.push_back(extent);
  }
}

std::vector<Chunk> read_chunks(core::ByteSpan bytes) {
  std::vector<Chunk> chunks;
  for (FieldReader in(bytes, 0); in.at() < bytes.size();) {
    Chunk& chunk = chunks.emplace_back();
    chunk.extents = static_cast<std::uint32_t>(in.number());
    std::ranges::copy(in.bytes(chunk.content.size()), chunk.content.begin());
  }
  return chunks;
}

/// Those of later versions are passed over.
void read_attributes(std::string_view attributes, FileEntry& entry) {
  const core::ByteSpan bytes = core::as_bytes(attributes);
  for (FieldReader in(bytes, 0); in.at() < bytes.size();) {
    const std::uint64_t kind = in.number();
    const std::string_view value = in.text();
    if (kind == detail::kChunksAttribute) entry.chunks = read_chunks(core::as_bytes(value));
  }
}

FileEntry read_entry(FieldReader& in, const std::vector<ObjectId>& packs, const std::string& previous) {
  FileEntry entry;
  const std::uint64_t shared = in.number();
  if (shared > previous.size()) throw core::Error(core::Code::kCorruptData, "a manifest's path is cut");
  entry.path = previous.substr(0, shared).append(in.text());
  entry.type = static_cast<EntryType>(in.byte());
  entry.mode = static_cast<std::uint32_t>(in.number());
  const std::uint64_t time = in.number();
  entry.modified = core::Timestamp(core::Duration(static_cast<std::int64_t>(time >> 1 ^ (~(time & 1) + 1))));
  read_attributes(in.text(), entry);
  switch (entry.type) {
    case EntryType::kDirectory: break;
    case EntryType::kSymlink: entry.link_target = in.text(); break;
    case EntryType::kFile:
      entry.size = in.number();
      read_extents(in, packs, entry);
      break;
    default:
      throw core::Error(core::Code::kUnsupportedFormat,
                        fmt::format("'{}' is of a type that this program does not know", entry.path));
  }
  return entry;
}

}  // namespace

ManifestReader::ManifestReader(Repository& repository, const std::string& instance, const std::string& backup)
    : repository_(repository), container_(repository.data_key()) {
  const ObjectName name = manifest_name(instance, backup);
  auto layout = container_.fetch_layout(repository.store(), name);
  if (!layout) {
    throw core::Error(core::Code::kStoreObjectMissing, fmt::format("manifest '{}' is not in the store", name.key));
  }
  layout_ = std::move(*layout);
  decode_meta();
}

void ManifestReader::decode_meta() {
  FieldReader in(layout_.meta, 0);
  entry_count_ = in.number();
  data_size_ = in.number();
  const std::uint64_t count = in.number();
  for (std::uint64_t i = 0; i < count; ++i) {
    ObjectId id{};
    std::ranges::copy(in.bytes(id.size()), id.begin());
    packs_.push_back(id);
  }
}

void ManifestReader::rewind() {
  last_path_.clear();
  next_group_ = 0;
  group_.clear();
  at_ = 0;
}

void ManifestReader::check_belongs_to(const BackupRecord& record) const {
  if (record.manifest_id == id()) return;
  throw core::Error(core::Code::kCorruptData, "the manifest is not the one that the record belongs to");
}

std::optional<FileEntry> ManifestReader::next() {
  if (at_ >= group_.size() && !load_group()) return std::nullopt;
  FieldReader in(group_, at_);
  FileEntry entry = read_entry(in, packs_, group_path_);
  if (const auto broken = detail::broken_rule(entry, last_path_)) {
    throw core::Error(core::Code::kCorruptData, fmt::format("manifest '{}' holds '{}', which cannot be in one: {}",
                                                            layout_.name.key, entry.path, *broken));
  }
  at_ = in.at();
  group_path_ = last_path_ = entry.path;
  return entry;
}

bool ManifestReader::load_group() {
  while (next_group_ < layout_.groups.size()) {
    const Group& group = layout_.groups[next_group_];
    if (group.offset < fetched_offset_ || group.offset + group.stored_size > fetched_offset_ + fetched_.size()) {
      fetch_groups();
    }
    group_.resize(group.raw_size);
    bool fresh = false;
    detail::read_again_if_damaged([&] {
      if (std::exchange(fresh, true)) fetch_groups();
      const std::uint64_t at = group.offset - fetched_offset_;
      container_.decode_group(layout_, next_group_, core::ByteSpan(fetched_).subspan(at, group.stored_size), group_);
    });
    ++next_group_;
    at_ = 0;
    group_path_.clear();
    if (!group_.empty()) return true;
  }
  return false;
}

void ManifestReader::fetch_groups() {
  const std::uint64_t begin = layout_.groups[next_group_].offset;
  std::uint64_t end = begin;
  for (std::size_t i = next_group_; i < layout_.groups.size(); ++i) {
    const std::uint64_t group_end = layout_.groups[i].offset + layout_.groups[i].stored_size;
    if (end > begin && group_end - begin > kReadAhead) break;
    end = group_end;
  }
  fetched_.clear();
  auto bytes = repository_.store().get_range(layout_.name.key, begin, end - begin);
  if (!bytes || bytes->size() != end - begin) {
    throw core::Error(core::Code::kCorruptData, fmt::format("manifest '{}' is shorter than it was", layout_.name.key));
  }
  fetched_ = std::move(*bytes);
  fetched_offset_ = begin;
}

}  // namespace backstay::repository
