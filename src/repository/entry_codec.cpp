#include "repository/entry_codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/varint.h"

namespace backstay::repository {
namespace {

using detail::FieldReader;
using detail::put_number;
using detail::put_text;

void put_attributes(core::Bytes& to, const FileEntry& entry) {
  core::Bytes attributes;
  if (!entry.chunks.empty()) {
    core::Bytes chunks;
    for (const Chunk& chunk : entry.chunks) {
      put_number(chunks, chunk.extents);
      core::append(chunks, chunk.content);
    }
    put_number(attributes, detail::kChunksAttribute);
    put_text(attributes, core::as_text(chunks));
  }
  put_text(to, core::as_text(attributes));
}

void read_extents(FieldReader& in, const std::vector<ObjectId>& packs, FileEntry& entry) {
  const std::uint64_t count = in.number();
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    Extent extent;
    extent.file_offset = end + in.number();
    extent.length = in.number();
    const std::uint64_t pack = in.number();
    if (pack >= packs.size()) throw core::Error(core::Code::kCorruptData, "a manifest names a pack it does not list");
    extent.position = {.pack = packs[pack], .group = in.number32(), .offset = in.number32()};
    end = extent.file_offset + extent.length;
    entry.extents.push_back(extent);
  }
}

std::vector<Chunk> read_chunks(core::ByteSpan bytes) {
  std::vector<Chunk> chunks;
  for (FieldReader in(bytes, 0); in.at() < bytes.size();) {
    Chunk& chunk = chunks.emplace_back();
    chunk.extents = in.number32();
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

}  // namespace

std::uint64_t PackTable::number_of(const ObjectId& pack) {
  const auto [at, added] = numbers_.emplace(pack, packs_.size());
  if (added) packs_.push_back(pack);
  return at->second;
}

void encode_entry(core::Bytes& to, const FileEntry& entry, std::string_view previous, PackTable& packs) {
  const auto shared = static_cast<std::size_t>(std::ranges::mismatch(previous, entry.path).in1 - previous.begin());
  put_number(to, shared);
  put_text(to, std::string_view(entry.path).substr(shared));
  to.push_back(static_cast<std::byte>(entry.type));
  put_number(to, entry.mode);
  const std::int64_t time = entry.modified.time_since_epoch().count();
  put_number(to, static_cast<std::uint64_t>(time) << 1 ^ static_cast<std::uint64_t>(time >> 63));
  put_attributes(to, entry);
  if (entry.type == EntryType::kSymlink) put_text(to, entry.link_target);
  if (entry.type != EntryType::kFile) return;
  put_number(to, entry.size);
  put_number(to, entry.extents.size());
  std::uint64_t end = 0;
  for (const Extent& extent : entry.extents) {
    put_number(to, extent.file_offset - end);
    put_number(to, extent.length);
    put_number(to, packs.number_of(extent.position.pack));
    put_number(to, extent.position.group);
    put_number(to, extent.position.offset);
    end = extent.file_offset + extent.length;
  }
}

FileEntry decode_entry(core::ByteSpan bytes, std::size_t& at, const std::vector<ObjectId>& packs,
                       std::string_view previous) {
  FieldReader in(bytes, at);
  FileEntry entry;
  const std::uint64_t shared = in.number();
  if (shared > previous.size()) throw core::Error(core::Code::kCorruptData, "a manifest's path is cut");
  entry.path.append(previous.substr(0, shared)).append(in.text());
  entry.type = static_cast<EntryType>(in.byte());
  entry.mode = in.number32();
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
  at = in.at();
  return entry;
}

}  // namespace backstay::repository
