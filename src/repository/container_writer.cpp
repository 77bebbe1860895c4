#include "repository/container_writer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::repository {

ContainerWriter::ContainerWriter(const DataKey& data_key, core::Random& random, codec::Compression compression,
                                 int level)
    : data_key_(data_key), random_(random), compressor_(compression, level), aead_(data_key.bytes()) {}

void ContainerWriter::begin(ObjectName name) { begin_with(new_object_id(random_), std::move(name)); }

void ContainerWriter::begin_pack() {
  const ObjectId id = new_object_id(random_);
  begin_with(id, {Kind::kPack, pack_key(id)});
}

void ContainerWriter::begin_with(const ObjectId& id, ObjectName name) {
  id_ = id;
  name_ = std::move(name);
  aead_.set_key(derive_object_key(data_key_, name_.kind, id_).bytes());
  associated_.set_object(name_.kind, id_, name_.key);
  groups_.clear();
  buffer_.clear();
  taken_ = 0;
  raw_size_ = 0;
  core::append(buffer_, encode_header(name_.kind, id_));
}

core::ByteSpan ContainerWriter::compress(core::ByteSpan raw, codec::Compression& method) {
  method = compressor_.method();
  if (method == codec::Compression::kNone || raw.empty()) {
    method = codec::Compression::kNone;
    return raw;
  }
  const std::size_t bound = compressor_.bound(raw.size());
  if (compressed_.size() < bound) compressed_.resize(bound);
  const std::size_t size = compressor_.compress(raw, compressed_);
  if (size < raw.size()) return core::ByteSpan(compressed_).first(size);
  method = codec::Compression::kNone;
  return raw;
}

void ContainerWriter::append_sealed(std::uint32_t position, core::ByteSpan associated, core::ByteSpan plain) {
  const std::size_t at = buffer_.size();
  buffer_.resize(at + plain.size() + codec::kAeadTagSize);
  aead_.seal(group_nonce(position), associated, plain, core::MutableByteSpan(buffer_).subspan(at));
}

std::uint32_t ContainerWriter::add_group(core::ByteSpan raw) {
  if (raw.size() > kMaxGroupSize || groups_.size() >= kFooterPosition) {
    throw core::Error(core::Code::kInternal, fmt::format("'{}': a group or its number is too large", name_.key));
  }
  const auto number = static_cast<std::uint32_t>(groups_.size());
  codec::Compression method{};
  const core::ByteSpan plain = compress(raw, method);
  const std::uint64_t offset = size();
  append_sealed(number, associated_.for_position(number), plain);
  groups_.push_back({offset, static_cast<std::uint32_t>(plain.size() + codec::kAeadTagSize),
                     static_cast<std::uint32_t>(raw.size()), method});
  raw_size_ += raw.size();
  return number;
}

void ContainerWriter::finish(core::ByteSpan meta) {
  const core::Bytes footer = encode_footer(groups_, meta);
  if (footer.size() > kMaxGroupSize) {
    throw core::Error(core::Code::kInternal, fmt::format("'{}': the group table is too large", name_.key));
  }
  Trailer trailer{.id = id_};
  const core::ByteSpan plain = compress(footer, trailer.footer_compression);
  trailer.footer_raw_size = static_cast<std::uint32_t>(footer.size());
  trailer.footer_stored_size = static_cast<std::uint32_t>(plain.size() + codec::kAeadTagSize);
  const auto encoded = encode_trailer(trailer);
  append_sealed(kFooterPosition, associated_.for_footer(encoded), plain);
  core::append(buffer_, encoded);
}

core::Bytes ContainerWriter::take_buffer(core::Bytes replacement) {
  taken_ += buffer_.size();
  replacement.clear();
  return std::exchange(buffer_, std::move(replacement));
}

core::Bytes ContainerWriter::encode(ObjectName name, core::ByteSpan content, core::ByteSpan meta) {
  begin(std::move(name));
  for (; !content.empty(); content = content.subspan(std::min(kWholeGroupSize, content.size()))) {
    add_group(content.first(std::min(kWholeGroupSize, content.size())));
  }
  finish(meta);
  return take_buffer();
}

}  // namespace backstay::repository
