// Reads containers: the layout from the footer, groups from any bytes that hold them.
//
// Whatever does not authenticate is Error(corrupt_data) that names the object: a flipped bit, a truncated object, one
// that was moved under another name or comes from another repository. What was fetched from a store is fetched twice
// before that is said.
#pragma once

#include <optional>

#include "blob/store.h"
#include "codec/aead.h"
#include "codec/compression.h"
#include "repository/container_format.h"

namespace backstay::repository {

/// Of what the end is read first: enough for the footer of a pack of 64 MiB or of a WAL segment with its index.
inline constexpr std::uint64_t kTailRead = 16 * 1024;

/// One thread at a time; keeps its contexts and buffers.
class ContainerReader {
 public:
  /// `data_key` must outlive it.
  explicit ContainerReader(const DataKey& data_key);

  /// The layout of a container that is wholly in memory.
  Layout read_layout(const ObjectName& name, core::ByteSpan object);
  /// The layout with one ranged read of the object's end; a second one if the footer is longer than expected. The
  /// header is not looked at. Nothing if there is no object.
  std::optional<Layout> fetch_layout(blob::Store& store, const ObjectName& name);
  /// The same where all of the object is wanted afterwards: more is read at once, and if that is all of it, it is left
  /// in `whole`.
  std::optional<Layout> fetch_layout(blob::Store& store, const ObjectName& name, core::Bytes& whole);

  /// Authenticates and decodes one group; `stored` are its bytes in the object, `raw` has its raw size.
  void decode_group(const Layout& layout, std::uint32_t number, core::ByteSpan stored, core::MutableByteSpan raw);
  /// Authenticates a group without decompressing it.
  void authenticate_group(const Layout& layout, std::uint32_t number, core::ByteSpan stored);
  /// All groups of a container that is wholly in memory, one after the other.
  core::Bytes read_all(const Layout& layout, core::ByteSpan object);

  /// A small object, with one request: meta and content. Nothing if there is no object.
  struct Content {
    Layout layout;
    core::Bytes bytes;
  };
  std::optional<Content> fetch(blob::Store& store, const ObjectName& name);

 private:
  std::optional<Layout> fetch_layout_once(blob::Store& store, const ObjectName& name, std::uint64_t first,
                                          core::Bytes* whole);
  void use(const ObjectName& name, const ObjectId& id);
  /// `end` holds at least footer and trailer.
  Layout open_footer(const ObjectName& name, core::ByteSpan end, std::uint64_t object_size);
  /// Authenticates a group into the beginning of `plain_out`, still compressed.
  core::ByteSpan open_group(const Layout& layout, std::uint32_t number, core::ByteSpan stored,
                            core::MutableByteSpan plain_out);

  const DataKey& data_key_;
  codec::Aead aead_;
  codec::Decompressor decompressor_;
  AssociatedData associated_;
  ObjectId current_{};
  std::string current_key_;
  core::Bytes opened_;
};

}  // namespace backstay::repository
