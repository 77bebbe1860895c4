#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/entry_codec.h"
#include "repository/entry_rules.h"
#include "repository/manifest.h"
#include "repository/second_reading.h"
#include "repository/varint.h"

namespace backstay::repository {
namespace {

using detail::FieldReader;

/// How much of a manifest one request reads.
constexpr std::uint64_t kReadAhead = 4 * 1024 * 1024;

}  // namespace

ManifestReader::ManifestReader(Repository& repository, const ObjectName& name)
    : repository_(repository), container_(repository.data_key()) {
  auto layout = container_.fetch_layout(repository.store(), name, fetched_);
  if (!layout) {
    throw core::Error(core::Code::kStoreObjectMissing, fmt::format("manifest '{}' is not in the store", name.key));
  }
  layout_ = std::move(*layout);
  decode_meta();
}

ManifestReader::ManifestReader(Repository& repository, const BackupRecord& record)
    : ManifestReader(repository, manifest_name(record)) {
  if (record.manifest_id == id()) return;
  throw core::Error(core::Code::kCorruptData, "the manifest is not the one that the record belongs to");
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

std::optional<FileEntry> ManifestReader::next() {
  if (at_ >= group_.size() && !load_group()) return std::nullopt;
  std::size_t end = at_;
  FileEntry entry = decode_entry(group_, end, packs_, group_path_);
  if (const auto broken = detail::broken_rule(entry, last_path_)) {
    throw core::Error(core::Code::kCorruptData, fmt::format("manifest '{}' holds '{}', which cannot be in one: {}",
                                                            layout_.name.key, entry.path, *broken));
  }
  at_ = end;
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
