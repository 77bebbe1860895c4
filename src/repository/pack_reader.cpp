#include "repository/pack_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::repository {
namespace {

/// How much of an extent one ranged request covers at most.
constexpr std::uint64_t kReadAhead = 4 * 1024 * 1024;

}  // namespace

PackReader::PackReader(PackCache& cache) : cache_(cache), container_(cache.repository().data_key()) {}

void PackReader::use(const ObjectId& id) {
  if (pack_ && id == pack_id_) return;
  pack_.reset();  // Only the cache knows whether it is wanted again.
  pack_ = cache_.get(id);
  pack_id_ = id;
}

void PackReader::read(const Extent& extent, std::uint64_t offset, core::MutableByteSpan out) {
  if (offset > extent.length || out.size() > extent.length - offset) {
    throw core::Error(core::Code::kInternal, "a read reaches behind its extent");
  }
  use(extent.position.pack);
  const std::vector<Group>& groups = pack_->layout.groups;
  std::uint64_t within = extent.position.offset + offset;
  std::uint64_t left = extent.length - offset;
  for (std::uint32_t number = extent.position.group; !out.empty(); ++number) {
    if (number >= groups.size()) {
      throw core::Error(core::Code::kCorruptData,
                        fmt::format("an extent reaches behind the end of pack '{}'", pack_->layout.name.key));
    }
    const std::uint64_t size = groups[number].raw_size;
    if (within >= size) {
      within -= size;
      continue;
    }
    const std::size_t take = std::min<std::uint64_t>(size - within, out.size());
    copy_group(number, within, out.first(take), std::min(left, kReadAhead));
    out = out.subspan(take);
    left -= take;
    within = 0;
  }
}

void PackReader::copy_group(std::uint32_t number, std::uint64_t within, core::MutableByteSpan out,
                            std::uint64_t wanted) {
  for (Decoded& known : decoded_) {
    if (known.used == 0 || known.group != number || known.pack != pack_id_) continue;
    known.used = ++tick_;
    std::copy_n(known.bytes.begin() + static_cast<std::ptrdiff_t>(within), out.size(), out.begin());
    return;
  }
  if (out.size() == pack_->layout.groups[number].raw_size) {
    decode(number, wanted, out);
    return;
  }
  Decoded& oldest = *std::ranges::min_element(decoded_, {}, &Decoded::used);
  oldest.used = 0;  // Until it holds what it says it does.
  oldest.bytes.resize(pack_->layout.groups[number].raw_size);
  decode(number, wanted, oldest.bytes);
  oldest.pack = pack_id_;
  oldest.group = number;
  oldest.used = ++tick_;
  std::copy_n(oldest.bytes.begin() + static_cast<std::ptrdiff_t>(within), out.size(), out.begin());
}

void PackReader::decode(std::uint32_t number, std::uint64_t wanted, core::MutableByteSpan raw) {
  try {
    container_.decode_group(pack_->layout, number, stored(number, wanted), raw);
  } catch (const core::Error& error) {
    // It may have been changed on its way here.
    if (error.code() != core::Code::kCorruptData) throw;
    fetch_run(number, 1);
    container_.decode_group(pack_->layout, number, run_, raw);
  }
}

core::ByteSpan PackReader::stored(std::uint32_t number, std::uint64_t wanted) {
  const Layout& layout = pack_->layout;
  const Group& group = layout.groups[number];
  if (!pack_->content.empty()) return core::ByteSpan(pack_->content).subspan(group.offset, group.stored_size);
  if (cache_.windows().has(pack_id_)) {
    window_ = cache_.windows().get(pack_id_, layout, number);
    return core::ByteSpan(window_->bytes).subspan(group.offset - window_->offset, group.stored_size);
  }
  const bool have = run_pack_ == pack_id_ && group.offset >= run_offset_ &&
                    group.offset + group.stored_size <= run_offset_ + run_.size();
  if (!have) fetch_run(number, wanted);
  return core::ByteSpan(run_).subspan(group.offset - run_offset_, group.stored_size);
}

void PackReader::fetch_run(std::uint32_t number, std::uint64_t wanted) {
  const Layout& layout = pack_->layout;
  const std::uint64_t begin = layout.groups[number].offset;
  std::uint64_t raw = 0;
  std::uint64_t end = begin;
  do {
    const Group& group = layout.groups[number++];
    raw += group.raw_size;
    end = group.offset + group.stored_size;
  } while (raw < wanted && number < layout.groups.size());
  run_.clear();
  auto bytes = cache_.repository().store().get_range(layout.name.key, begin, end - begin);
  if (!bytes) {
    throw core::Error(core::Code::kStoreObjectMissing, fmt::format("pack '{}' is not in the store", layout.name.key));
  }
  cache_.count_request(bytes->size());
  if (bytes->size() != end - begin) {
    throw core::Error(core::Code::kCorruptData, fmt::format("pack '{}' is shorter than it was", layout.name.key));
  }
  run_ = std::move(*bytes);
  run_offset_ = begin;
  run_pack_ = pack_id_;
}

void PackReader::read_file(std::span<const Extent> extents, std::uint64_t file_offset, core::MutableByteSpan out) {
  auto extent = std::ranges::upper_bound(extents, file_offset, {}, &Extent::file_offset);
  if (extent != extents.begin() && (extent - 1)->file_offset + (extent - 1)->length > file_offset) --extent;
  while (!out.empty()) {
    const std::uint64_t next = extent == extents.end() ? UINT64_MAX : extent->file_offset;
    if (file_offset < next) {
      const std::size_t zeros = std::min<std::uint64_t>(next - file_offset, out.size());
      std::ranges::fill(out.first(zeros), std::byte{0});
      out = out.subspan(zeros);
      file_offset += zeros;
      continue;
    }
    const std::uint64_t offset = file_offset - next;
    const std::size_t take = std::min<std::uint64_t>(extent->length - offset, out.size());
    read(*extent, offset, out.first(take));
    out = out.subspan(take);
    file_offset += take;
    ++extent;
  }
}

}  // namespace backstay::repository
