#include "repository/container_format.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/hash.h"
#include "core/error.h"

namespace backstay::repository {
namespace {

constexpr std::string_view kMagic = "BACKSTAY";
constexpr std::string_view kEndMagic = "YATSKCAB";
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kKindAt = 9;
constexpr std::size_t kReservedAt = 10;
constexpr std::size_t kIdAt = 16;
constexpr std::size_t kTrailerIdAt = 8;
constexpr std::size_t kEndMagicAt = 24;
constexpr std::uint32_t kSizeBits = 0x3fffffff;
constexpr unsigned kMethodShift = 30;

[[noreturn]] void corrupt(const ObjectName& name, std::string_view why) {
  throw core::Error(core::Code::kCorruptData,
                    fmt::format("{} '{}' is damaged: {}", kind_name(name.kind), name.key, why));
}

std::uint32_t pack_size(std::uint32_t size, codec::Compression method) {
  return size | static_cast<std::uint32_t>(method) << kMethodShift;
}

codec::Compression unpack_method(const ObjectName& name, std::uint32_t packed) {
  const auto method = packed >> kMethodShift;
  if (method > static_cast<std::uint32_t>(codec::Compression::kLz4)) corrupt(name, "unknown compression");
  return static_cast<codec::Compression>(method);
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kPack: return "pack";
    case Kind::kManifest: return "manifest";
    case Kind::kBackupRecord: return "backup record";
    case Kind::kInstanceRecord: return "instance record";
    case Kind::kWalSegment: return "wal segment";
    case Kind::kWalTail: return "wal tail";
    case Kind::kWalIndex: return "wal index";
    case Kind::kHistory: return "timeline history";
    case Kind::kWindowEnd: return "window end";
    case Kind::kCondemned: return "condemned";
    case Kind::kWriterMark: return "writer mark";
    case Kind::kPageChanges: return "page changes";
  }
  return "object";
}

ObjectId new_object_id(core::Random& random) {
  ObjectId id{};
  random.fill(id);
  return id;
}

std::string format_object_id(const ObjectId& id) { return core::to_hex(id); }

std::string pack_key(const ObjectId& pack) {
  const std::string id = format_object_id(pack);
  return fmt::format("packs/{}/{}", id.substr(0, 2), id);
}

ObjectId parse_object_id(std::string_view text) {
  const core::Bytes bytes = core::from_hex(text);
  ObjectId id{};
  if (bytes.size() != id.size()) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is not an object id", text));
  }
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

std::uint64_t Layout::raw_size() const {
  std::uint64_t sum = 0;
  for (const Group& group : groups) sum += group.raw_size;
  return sum;
}

std::uint64_t Layout::groups_end() const {
  return groups.empty() ? kHeaderSize : groups.back().offset + groups.back().stored_size;
}

std::array<std::byte, kHeaderSize> encode_header(Kind kind, const ObjectId& id) {
  std::array<std::byte, kHeaderSize> header{};
  std::ranges::copy(core::as_bytes(kMagic), header.begin());
  header[kVersionAt] = std::byte{kFormatVersion};
  header[kKindAt] = static_cast<std::byte>(kind);
  std::ranges::copy(id, header.begin() + kIdAt);
  return header;
}

ObjectId decode_header(const ObjectName& name, core::ByteSpan header) {
  if (header.size() < kHeaderSize || core::as_text(header.first(kMagic.size())) != kMagic) {
    corrupt(name, "it does not begin as an object of Backstay");
  }
  const auto version = std::to_integer<unsigned>(header[kVersionAt]);
  if (version > kFormatVersion) {
    throw core::Error(core::Code::kUnsupportedFormat,
                      fmt::format("'{}' has format version {}; this program reads up to {}", name.key, version,
                                  static_cast<unsigned>(kFormatVersion)));
  }
  if (version == 0 || header[kKindAt] != static_cast<std::byte>(name.kind)) corrupt(name, "it is of another kind");
  if (std::ranges::any_of(header.subspan(kReservedAt, kIdAt - kReservedAt), [](auto b) { return b != std::byte{0}; })) {
    corrupt(name, "its header was changed");
  }
  ObjectId id{};
  std::ranges::copy(header.subspan(kIdAt, id.size()), id.begin());
  return id;
}

std::array<std::byte, kTrailerSize> encode_trailer(const Trailer& trailer) {
  std::array<std::byte, kTrailerSize> bytes{};
  core::store_le(bytes, 0, trailer.footer_stored_size);
  core::store_le(bytes, 4, pack_size(trailer.footer_raw_size, trailer.footer_compression));
  std::ranges::copy(trailer.id, bytes.begin() + kTrailerIdAt);
  std::ranges::copy(core::as_bytes(kEndMagic), bytes.begin() + kEndMagicAt);
  return bytes;
}

Trailer decode_trailer(const ObjectName& name, core::ByteSpan trailer) {
  if (trailer.size() != kTrailerSize || core::as_text(trailer.subspan(kEndMagicAt)) != kEndMagic) {
    corrupt(name, "its end is missing or was changed");
  }
  const auto raw = core::load_le<std::uint32_t>(trailer, 4);
  Trailer result{.id = {},
                 .footer_stored_size = core::load_le<std::uint32_t>(trailer, 0),
                 .footer_raw_size = raw & kSizeBits,
                 .footer_compression = unpack_method(name, raw)};
  std::ranges::copy(trailer.subspan(kTrailerIdAt, result.id.size()), result.id.begin());
  if (result.footer_raw_size > kMaxGroupSize || result.footer_stored_size < codec::kAeadTagSize ||
      result.footer_stored_size > kMaxGroupSize) {
    corrupt(name, "its end was changed");
  }
  return result;
}

core::Bytes encode_footer(const std::vector<Group>& groups, core::ByteSpan meta) {
  core::Bytes footer;
  footer.reserve(8 + groups.size() * 8 + meta.size());
  core::append_le(footer, static_cast<std::uint32_t>(groups.size()));
  for (const Group& group : groups) {
    core::append_le(footer, group.stored_size);
    core::append_le(footer, pack_size(group.raw_size, group.compression));
  }
  core::append_le(footer, static_cast<std::uint32_t>(meta.size()));
  core::append(footer, meta);
  return footer;
}

void decode_footer(Layout& layout, core::ByteSpan footer, std::uint64_t footer_offset) {
  if (footer.size() < 8) corrupt(layout.name, "its group table is too short");
  const auto count = core::load_le<std::uint32_t>(footer, 0);
  const std::uint64_t meta_at = 4 + std::uint64_t{count} * 8;
  if (footer.size() < meta_at + 4) corrupt(layout.name, "its group table is too short");
  layout.groups.clear();
  layout.groups.reserve(count);
  std::uint64_t offset = kHeaderSize;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto stored = core::load_le<std::uint32_t>(footer, 4 + std::size_t{i} * 8);
    const auto raw = core::load_le<std::uint32_t>(footer, 8 + std::size_t{i} * 8);
    layout.groups.push_back({offset, stored, raw & kSizeBits, unpack_method(layout.name, raw)});
    if (stored < codec::kAeadTagSize || (raw & kSizeBits) > kMaxGroupSize)
      corrupt(layout.name, "a group's size is wrong");
    offset += stored;
  }
  if (offset != footer_offset) corrupt(layout.name, "its groups do not fill it");
  const core::ByteSpan meta = footer.subspan(meta_at + 4);
  if (meta.size() != core::load_le<std::uint32_t>(footer, meta_at)) corrupt(layout.name, "its meta data is cut");
  layout.meta.assign(meta.begin(), meta.end());
}

KeyBytes derive_object_key(const DataKey& data_key, Kind kind, const ObjectId& id) {
  const std::string info = fmt::format("backstay {} v{}", kind_name(kind), static_cast<unsigned>(kFormatVersion));
  return KeyBytes(codec::hkdf_sha256(data_key.bytes(), id, core::as_bytes(info), 32));
}

codec::Nonce group_nonce(std::uint32_t position) {
  codec::Nonce nonce{};
  core::store_le(nonce, 0, position);
  return nonce;
}

void AssociatedData::set_object(Kind kind, const ObjectId& id, std::string_view key) {
  const auto header = encode_header(kind, id);
  bytes_.assign(header.begin(), header.end());
  core::append_le(bytes_, std::uint32_t{0});
  core::append(bytes_, core::as_bytes(key));
  key_end_ = bytes_.size();
}

core::ByteSpan AssociatedData::for_position(std::uint32_t position) {
  bytes_.resize(key_end_);
  core::store_le(bytes_, kHeaderSize, position);
  return bytes_;
}

core::ByteSpan AssociatedData::for_footer(core::ByteSpan trailer) {
  for_position(kFooterPosition);
  core::append(bytes_, trailer);
  return bytes_;
}

}  // namespace backstay::repository
