#include "repository/container_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/second_reading.h"

namespace backstay::repository {
namespace {

/// What costs no more than the request itself.
constexpr std::uint64_t kWholeRead = 256 * 1024;

[[noreturn]] void corrupt(const ObjectName& name, const std::string& why) {
  throw core::Error(core::Code::kCorruptData,
                    fmt::format("{} '{}' is damaged: {}", kind_name(name.kind), name.key, why));
}

/// Footer and trailer together.
std::uint64_t footer_end_size(const Trailer& trailer) {
  return kTrailerSize + std::uint64_t{trailer.footer_stored_size};
}

}  // namespace

ContainerReader::ContainerReader(const DataKey& data_key) : data_key_(data_key), aead_(data_key.bytes()) {}

void ContainerReader::use(const ObjectName& name, const ObjectId& id) {
  if (id == current_ && name.key == current_key_) return;
  aead_.set_key(derive_object_key(data_key_, name.kind, id).bytes());
  associated_.set_object(name.kind, id, name.key);
  current_ = id;
  current_key_ = name.key;
}

Layout ContainerReader::open_footer(const ObjectName& name, core::ByteSpan end, std::uint64_t object_size) {
  const core::ByteSpan encoded = end.last(kTrailerSize);
  const Trailer trailer = decode_trailer(name, encoded);
  Layout layout{.name = name, .id = trailer.id, .groups = {}, .meta = {}, .object_size = object_size};
  const core::ByteSpan sealed = end.subspan(end.size() - footer_end_size(trailer), trailer.footer_stored_size);
  use(name, layout.id);
  core::Bytes plain(sealed.size() - codec::kAeadTagSize);
  if (!aead_.open(group_nonce(kFooterPosition), associated_.for_footer(encoded), sealed, plain)) {
    corrupt(name, "its group table does not authenticate");
  }
  core::Bytes footer(trailer.footer_raw_size);
  decompressor_.decompress(trailer.footer_compression, plain, footer);
  decode_footer(layout, footer, object_size - footer_end_size(trailer));
  return layout;
}

Layout ContainerReader::read_layout(const ObjectName& name, core::ByteSpan object) {
  if (object.size() < kHeaderSize + kTrailerSize) corrupt(name, "it is too short");
  const ObjectId id = decode_header(name, object);
  if (footer_end_size(decode_trailer(name, object.last(kTrailerSize))) > object.size() - kHeaderSize) {
    corrupt(name, "it is too short for its group table");
  }
  Layout layout = open_footer(name, object, object.size());
  if (layout.id != id) corrupt(name, "its header was changed");
  return layout;
}

std::optional<Layout> ContainerReader::fetch_layout(blob::Store& store, const ObjectName& name) {
  return detail::read_again_if_damaged([&] { return fetch_layout_once(store, name, kTailRead, nullptr); });
}

std::optional<Layout> ContainerReader::fetch_layout(blob::Store& store, const ObjectName& name, core::Bytes& whole) {
  return detail::read_again_if_damaged([&] { return fetch_layout_once(store, name, kWholeRead, &whole); });
}

std::optional<Layout> ContainerReader::fetch_layout_once(blob::Store& store, const ObjectName& name,
                                                         std::uint64_t first, core::Bytes* whole) {
  auto tail = store.get_tail(name.key, first);
  if (!tail) return std::nullopt;
  if (tail->content.size() == tail->object_size) {
    Layout layout = read_layout(name, tail->content);
    if (whole != nullptr) *whole = std::move(tail->content);
    return layout;
  }
  if (tail->content.size() < kTrailerSize) corrupt(name, "its end cannot be read");
  const std::uint64_t needed = footer_end_size(decode_trailer(name, core::ByteSpan(tail->content).last(kTrailerSize)));
  if (needed > tail->object_size - kHeaderSize) corrupt(name, "it is too short for its group table");
  if (needed > tail->content.size()) {
    tail = store.get_tail(name.key, needed);
    if (!tail) return std::nullopt;
    if (tail->content.size() < needed) corrupt(name, "its end cannot be read");
  }
  return open_footer(name, tail->content, tail->object_size);
}

core::ByteSpan ContainerReader::open_group(const Layout& layout, std::uint32_t number, core::ByteSpan stored,
                                           core::MutableByteSpan plain_out) {
  const Group& group = layout.groups.at(number);
  if (stored.size() != group.stored_size) corrupt(layout.name, fmt::format("group {} is cut", number));
  use(layout.name, layout.id);
  const core::MutableByteSpan plain = plain_out.first(stored.size() - codec::kAeadTagSize);
  if (!aead_.open(group_nonce(number), associated_.for_position(number), stored, plain)) {
    corrupt(layout.name, fmt::format("group {} does not authenticate", number));
  }
  return plain;
}

void ContainerReader::decode_group(const Layout& layout, std::uint32_t number, core::ByteSpan stored,
                                   core::MutableByteSpan raw) {
  const Group& group = layout.groups.at(number);
  if (raw.size() != group.raw_size) throw core::Error(core::Code::kInternal, "a group's buffer has another size");
  if (group.compression == codec::Compression::kNone) {
    if (group.stored_size != group.raw_size + codec::kAeadTagSize) corrupt(layout.name, "a group's size is wrong");
    open_group(layout, number, stored, raw);
    return;
  }
  if (opened_.size() < stored.size()) opened_.resize(stored.size());
  decompressor_.decompress(group.compression, open_group(layout, number, stored, opened_), raw);
}

void ContainerReader::authenticate_group(const Layout& layout, std::uint32_t number, core::ByteSpan stored) {
  if (opened_.size() < stored.size()) opened_.resize(stored.size());
  open_group(layout, number, stored, opened_);
}

core::Bytes ContainerReader::read_all(const Layout& layout, core::ByteSpan object) {
  core::Bytes bytes(layout.raw_size());
  std::size_t at = 0;
  for (std::uint32_t number = 0; number < layout.groups.size(); ++number) {
    const Group& group = layout.groups[number];
    decode_group(layout, number, object.subspan(group.offset, group.stored_size),
                 core::MutableByteSpan(bytes).subspan(at, group.raw_size));
    at += group.raw_size;
  }
  return bytes;
}

std::optional<ContainerReader::Content> ContainerReader::fetch(blob::Store& store, const ObjectName& name) {
  return detail::read_again_if_damaged([&]() -> std::optional<Content> {
    const auto object = store.get(name.key);
    if (!object) return std::nullopt;
    Content content;
    content.layout = read_layout(name, *object);
    content.bytes = read_all(content.layout, *object);
    return content;
  });
}

}  // namespace backstay::repository
