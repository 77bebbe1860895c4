// Compression of independent blocks, with contexts that are used again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/bytes.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace backstay::codec {

/// The values are part of the repository format.
enum class Compression : std::uint8_t { kNone = 0, kZstd = 1, kLz4 = 2 };

/// "none", "zstd" or "lz4"; throws Error(invalid_argument) for anything else.
Compression parse_compression(std::string_view name);

/// One thread at a time.
class Compressor {
 public:
  /// `level` is zstd's; the others have none.
  explicit Compressor(Compression method, int level = 1);
  ~Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;

  [[nodiscard]] Compression method() const { return method_; }
  /// The room that `compress` needs for `size` bytes.
  [[nodiscard]] std::size_t bound(std::size_t size) const;
  /// Compresses into `out`, which has at least bound(data.size()) bytes; returns how many were used.
  std::size_t compress(core::ByteSpan data, core::MutableByteSpan out);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  Compression method_;
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

/// One thread at a time.
class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;

  /// Fills `out` exactly; throws Error(corrupt_data) if the data is not that long or not well-formed.
  void decompress(Compression method, core::ByteSpan data, core::MutableByteSpan out);

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
};

}  // namespace backstay::codec
