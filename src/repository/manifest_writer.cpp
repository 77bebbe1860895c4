#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/entry_rules.h"
#include "repository/manifest.h"
#include "repository/varint.h"

namespace backstay::repository {
namespace {

using detail::put_number;
using detail::put_text;

/// What is held before it is sent: the least that stores take as a part, and room to spare.
constexpr std::size_t kUploadPart = 8 * 1024 * 1024;

}  // namespace

bool path_less(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::ranges::mismatch(a, b);
  if (in_b == b.end()) return false;
  if (in_a == a.end()) return true;
  // The separator comes before every other byte, so that "a/x" comes before "a-b".
  if ((*in_a == '/') != (*in_b == '/')) return *in_a == '/';
  return static_cast<unsigned char>(*in_a) < static_cast<unsigned char>(*in_b);
}

ManifestWriter::ManifestWriter(Repository& repository, const std::string& instance, const std::string& backup)
    : repository_(repository), container_(repository.data_key(), repository.random()) {
  container_.begin(manifest_name(instance, backup));
  result_.id = container_.id();
}
ManifestWriter::~ManifestWriter() = default;

void ManifestWriter::check(const FileEntry& entry) const {
  if (const auto broken = detail::broken_rule(entry, last_path_)) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("'{}' cannot be in a manifest: {}", entry.path, *broken));
  }
}

void ManifestWriter::add(const FileEntry& entry) {
  check(entry);
  encode(entry);
  last_path_ = entry.path;
  ++result_.entries;
  if (entry.type == EntryType::kFile) ++result_.files;
  result_.data_size += entry.size;
  if (group_.size() >= kGroupSize) seal_group();
}

void ManifestWriter::encode(const FileEntry& entry) {
  // A group can be read on its own: its first path shares nothing.
  const auto shared =
      static_cast<std::size_t>(std::ranges::mismatch(group_path_, entry.path).in1 - group_path_.begin());
  put_number(group_, shared);
  put_text(group_, std::string_view(entry.path).substr(shared));
  group_path_ = entry.path;
  group_.push_back(static_cast<std::byte>(entry.type));
  put_number(group_, entry.mode);
  const std::int64_t time = entry.modified.time_since_epoch().count();
  put_number(group_, static_cast<std::uint64_t>(time) << 1 ^ static_cast<std::uint64_t>(time >> 63));
  put_attributes(entry);
  if (entry.type == EntryType::kSymlink) put_text(group_, entry.link_target);
  if (entry.type != EntryType::kFile) return;
  put_number(group_, entry.size);
  put_number(group_, entry.extents.size());
  std::uint64_t end = 0;
  for (const Extent& extent : entry.extents) {
    put_number(group_, extent.file_offset - end);
    put_number(group_, extent.length);
    put_number(group_, pack_index(extent.position.pack));
    put_number(group_, extent.position.group);
    put_number(group_, extent.position.offset);
    end = extent.file_offset + extent.length;
  }
}

void ManifestWriter::put_attributes(const FileEntry& entry) {
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
  put_text(group_, core::as_text(attributes));
}

std::uint64_t ManifestWriter::pack_index(const ObjectId& pack) {
  const auto [at, added] = pack_numbers_.emplace(pack, packs_.size());
  if (added) packs_.push_back(pack);
  return at->second;
}

void ManifestWriter::seal_group() {
  container_.add_group(group_);
  group_.clear();
  group_path_.clear();
  if (container_.buffer().size() < kUploadPart) return;
  if (!upload_) upload_ = repository_.store().begin_upload(container_.name().key);
  upload_->append(container_.buffer());
  container_.take_buffer(container_.take_buffer());
}

core::Bytes ManifestWriter::encode_meta() const {
  core::Bytes meta;
  put_number(meta, result_.entries);
  put_number(meta, result_.data_size);
  put_number(meta, packs_.size());
  for (const ObjectId& pack : packs_) core::append(meta, pack);
  return meta;
}

ManifestWriter::Result ManifestWriter::finish() {
  if (!group_.empty()) container_.add_group(group_);
  group_.clear();
  container_.finish(encode_meta());
  result_.stored_size = container_.size();
  if (upload_) {
    upload_->append(container_.buffer());
    upload_->finish();
  } else {
    repository_.store().put(container_.name().key, container_.buffer());
  }
  return result_;
}

}  // namespace backstay::repository
