#include "repository/pack_writer.h"

#include <algorithm>

namespace backstay::repository {

PackWriter::PackWriter(PackUploader& uploader)
    : uploader_(uploader),
      container_(uploader.repository_.data_key(), uploader.repository_.random(), uploader.options_.compression,
                 uploader.options_.level) {
  gathered_.reserve(kGroupSize);
}

void PackWriter::add(std::uint64_t file_offset, core::ByteSpan bytes, std::vector<Extent>& extents) {
  raw_bytes_ += bytes.size();
  while (!bytes.empty()) {
    if (!open_) {
      container_.begin_pack();
      open_ = true;
    }
    const std::size_t take = std::min(kGroupSize - gathered_.size(), bytes.size());
    note_extent(file_offset, take, extents);
    if (take == kGroupSize) {
      seal_group(bytes.first(take));
    } else {
      core::append(gathered_, bytes.first(take));
      if (gathered_.size() == kGroupSize) seal_gathered();
    }
    file_offset += take;
    bytes = bytes.subspan(take);
  }
}

void PackWriter::note_extent(std::uint64_t file_offset, std::size_t length, std::vector<Extent>& extents) {
  const std::uint64_t raw_end = container_.raw_size() + gathered_.size();
  if (!extents.empty()) {
    Extent& last = extents.back();
    if (last.position.pack == container_.id() && last.file_offset + last.length == file_offset &&
        end_of(last) == raw_end) {
      last.length += length;
      return;
    }
  }
  extents.push_back({.file_offset = file_offset,
                     .length = length,
                     .position = {.pack = container_.id(),
                                  .group = container_.group_count(),
                                  .offset = static_cast<std::uint32_t>(gathered_.size())}});
}

std::uint64_t PackWriter::end_of(const Extent& extent) {
  // This writer cuts every group but a pack's last at kGroupSize.
  return std::uint64_t{extent.position.group} * kGroupSize + extent.position.offset + extent.length;
}

void PackWriter::seal_gathered() {
  seal_group(gathered_);
  gathered_.clear();
}

void PackWriter::seal_group(core::ByteSpan raw) {
  container_.add_group(raw);
  if (container_.size() >= uploader_.options_.target_size) close_pack();
}

void PackWriter::close_pack() {
  container_.finish({});
  open_ = false;
  uploader_.submit({container_.name().key, container_.take_buffer(uploader_.take_buffer())});
}

void PackWriter::finish() {
  if (!gathered_.empty()) {
    container_.add_group(gathered_);
    gathered_.clear();
  }
  if (open_) close_pack();
}

}  // namespace backstay::repository
