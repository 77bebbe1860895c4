// The container: the one shape that every sealed object of a repository has. docs/format/repository.md defines it.
//
//   header | sealed group 0 | … | sealed group n-1 | sealed footer | trailer
//
// The footer holds the table of the groups and the object's own `meta` bytes. Each object has a key of its own, derived
// from the data key and the random id in its header; every sealed part is bound to the object's kind, id, name in the
// store and its place.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "codec/aead.h"
#include "codec/compression.h"
#include "core/bytes.h"
#include "repository/keys.h"

namespace backstay::repository {

constexpr std::uint8_t kFormatVersion = 1;
constexpr std::size_t kHeaderSize = 32;
constexpr std::size_t kTrailerSize = 32;
/// What writers cut groups at: where parts are read alone, and where an object is only ever read whole, which
/// compresses faster. What a reader accepts at most.
constexpr std::size_t kGroupSize = 256 * 1024;
constexpr std::size_t kWholeGroupSize = 2 * 1024 * 1024;
constexpr std::size_t kMaxGroupSize = 64 * 1024 * 1024;

/// The values are part of the format.
enum class Kind : std::uint8_t {
  kPack = 1,
  kManifest = 2,
  kBackupRecord = 3,
  kInstanceRecord = 4,
  kWalSegment = 5,
  kWalTail = 6,
  kWalIndex = 7,
  kHistory = 8,
  kWindowEnd = 9,
  kCondemned = 10,
  kWriterMark = 11,
  kPageChanges = 12,
};
/// "pack", "manifest", …: for messages and for the key derivation.
std::string_view kind_name(Kind kind);

using ObjectId = std::array<std::byte, 16>;
ObjectId new_object_id(core::Random& random);
/// "packs/<first two digits>/<id>".
std::string pack_key(const ObjectId& pack);
std::string format_object_id(const ObjectId& id);
/// Throws Error(invalid_argument) for anything but 32 hexadecimal digits.
ObjectId parse_object_id(std::string_view text);

/// What an object is, and where it lies: everything its parts are bound to.
struct ObjectName {
  Kind kind = Kind::kPack;
  std::string key = {};
};

struct Group {
  std::uint64_t offset = 0;  // in the object
  std::uint32_t stored_size = 0;
  std::uint32_t raw_size = 0;
  codec::Compression compression = codec::Compression::kNone;
};

/// Everything about a container but its groups' content.
struct Layout {
  ObjectName name = {};
  ObjectId id{};
  std::vector<Group> groups = {};
  core::Bytes meta = {};
  std::uint64_t object_size = 0;
  [[nodiscard]] std::uint64_t raw_size() const;
  /// Where the footer begins.
  [[nodiscard]] std::uint64_t groups_end() const;
};

/// The pieces below are shared by writer and reader.
constexpr std::uint32_t kFooterPosition = std::numeric_limits<std::uint32_t>::max();

struct Trailer {
  ObjectId id{};  // again, so that the layout can be read with one request for the object's end
  std::uint32_t footer_stored_size = 0;
  std::uint32_t footer_raw_size = 0;
  codec::Compression footer_compression = codec::Compression::kNone;
};

std::array<std::byte, kHeaderSize> encode_header(Kind kind, const ObjectId& id);
/// Throws Error(corrupt_data) for anything that is not a header of this kind, unsupported_format for a newer version.
ObjectId decode_header(const ObjectName& name, core::ByteSpan header);
std::array<std::byte, kTrailerSize> encode_trailer(const Trailer& trailer);
Trailer decode_trailer(const ObjectName& name, core::ByteSpan trailer);

core::Bytes encode_footer(const std::vector<Group>& groups, core::ByteSpan meta);
/// Fills groups and meta of `layout`; checks that the groups fill the object without a gap.
void decode_footer(Layout& layout, core::ByteSpan footer, std::uint64_t footer_offset);

KeyBytes derive_object_key(const DataKey& data_key, Kind kind, const ObjectId& id);
codec::Nonce group_nonce(std::uint32_t position);
/// header | position | object key, and for the footer the trailer too.
class AssociatedData {
 public:
  void set_object(Kind kind, const ObjectId& id, std::string_view key);
  core::ByteSpan for_position(std::uint32_t position);
  core::ByteSpan for_footer(core::ByteSpan trailer);

 private:
  core::Bytes bytes_;
  std::size_t key_end_ = 0;
};

}  // namespace backstay::repository
