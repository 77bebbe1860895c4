// Writes containers into memory: compress, seal, append.
#pragma once

#include "codec/aead.h"
#include "codec/compression.h"
#include "repository/container_format.h"

namespace backstay::repository {

/// One thread at a time; contexts and buffers are kept from one container to the next, so that a steady stream of
/// groups allocates nothing.
class ContainerWriter {
 public:
  /// `data_key` and `random` must outlive it.
  ContainerWriter(const DataKey& data_key, core::Random& random,
                  codec::Compression compression = codec::Compression::kZstd, int level = 1);

  /// Starts a container with a fresh id; what was not taken of the last one is dropped.
  void begin(ObjectName name);
  /// The same for a pack, which is named by its id.
  void begin_pack();
  /// Appends one group; returns its number.
  std::uint32_t add_group(core::ByteSpan raw);
  /// Appends footer and trailer.
  void finish(core::ByteSpan meta);

  [[nodiscard]] const ObjectName& name() const { return name_; }
  [[nodiscard]] const ObjectId& id() const { return id_; }
  [[nodiscard]] std::uint32_t group_count() const { return static_cast<std::uint32_t>(groups_.size()); }
  /// Bytes of the container so far, taken ones included.
  [[nodiscard]] std::uint64_t size() const { return taken_ + buffer_.size(); }
  [[nodiscard]] std::uint64_t raw_size() const { return raw_size_; }
  /// What has been written and not taken yet.
  [[nodiscard]] const core::Bytes& buffer() const { return buffer_; }
  /// Hands the written bytes over and goes on with `replacement` (emptied, its capacity kept).
  core::Bytes take_buffer(core::Bytes replacement = {});

  /// A whole container of some bytes, for readers of the whole: cut into groups of kWholeGroupSize.
  core::Bytes encode(ObjectName name, core::ByteSpan content, core::ByteSpan meta = {});

 private:
  void begin_with(const ObjectId& id, ObjectName name);
  /// `raw` itself where compression does not pay.
  core::ByteSpan compress(core::ByteSpan raw, codec::Compression& method);
  void append_sealed(std::uint32_t position, core::ByteSpan associated, core::ByteSpan plain);

  const DataKey& data_key_;
  core::Random& random_;
  codec::Compressor compressor_;
  codec::Aead aead_;
  ObjectName name_{};
  ObjectId id_{};
  AssociatedData associated_;
  std::vector<Group> groups_;
  core::Bytes compressed_;
  core::Bytes buffer_;
  std::uint64_t taken_ = 0;
  std::uint64_t raw_size_ = 0;
};

}  // namespace backstay::repository
