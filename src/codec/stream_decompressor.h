// Takes the compression off a stream whose length nobody knows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "core/bytes.h"

namespace backstay::codec {

/// What compressed files on disks begin with.
enum class StreamFormat { kGzip, kZstd };

/// One thread at a time. Several compressed streams may follow each other, as their programs allow.
class StreamDecompressor {
 public:
  /// Gets the content piece by piece, each at most a few hundred KiB whatever was fed; an exception ends the work and
  /// comes out of feed.
  using Sink = std::function<void(core::ByteSpan)>;
  StreamDecompressor(StreamFormat format, Sink sink);
  ~StreamDecompressor();

  /// Throws Error(corrupt_data) for what is not well-formed.
  void feed(core::ByteSpan data);
  /// That was all. Throws Error(corrupt_data) if the stream goes on.
  void finish();

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstay::codec
