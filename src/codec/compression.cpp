#include "codec/compression.h"

#include <algorithm>

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

char* chars(core::MutableByteSpan bytes) { return reinterpret_cast<char*>(bytes.data()); }
const char* chars(core::ByteSpan bytes) { return reinterpret_cast<const char*>(bytes.data()); }

[[noreturn]] void corrupt(const char* method, const std::string& why) {
  throw core::Error(core::Code::kCorruptData, fmt::format("a {} block cannot be decompressed: {}", method, why));
}

}  // namespace

Compression parse_compression(std::string_view name) {
  if (name == "none") return Compression::kNone;
  if (name == "zstd") return Compression::kZstd;
  if (name == "lz4") return Compression::kLz4;
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is none of 'none', 'zstd', 'lz4'", name));
}

void Compressor::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

Compressor::Compressor(Compression method, int level) : method_(method) {
  if (method != Compression::kZstd) return;
  context_.reset(ZSTD_createCCtx());
  if (!context_) throw core::Error(core::Code::kInternal, "no memory for a zstd context");
  if (ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level)) != 0) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("zstd has no level {}", level));
  }
}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

std::size_t Compressor::bound(std::size_t size) const {
  switch (method_) {
    case Compression::kNone: return size;
    case Compression::kZstd: return ZSTD_compressBound(size);
    case Compression::kLz4: return static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(size)));
  }
  return size;
}

std::size_t Compressor::compress(core::ByteSpan data, core::MutableByteSpan out) {
  switch (method_) {
    case Compression::kNone: std::copy(data.begin(), data.end(), out.begin()); return data.size();
    case Compression::kZstd: {
      const std::size_t size = ZSTD_compress2(context_.get(), out.data(), out.size(), data.data(), data.size());
      if (ZSTD_isError(size) != 0) throw core::Error(core::Code::kInternal, ZSTD_getErrorName(size));
      return size;
    }
    case Compression::kLz4: {
      const int size =
          LZ4_compress_default(chars(data), chars(out), static_cast<int>(data.size()), static_cast<int>(out.size()));
      if (size <= 0) throw core::Error(core::Code::kInternal, "lz4 could not compress a block");
      return static_cast<std::size_t>(size);
    }
  }
  throw core::Error(core::Code::kInternal, "unknown compression");
}

void Decompressor::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

Decompressor::Decompressor() : context_(ZSTD_createDCtx()) {
  if (!context_) throw core::Error(core::Code::kInternal, "no memory for a zstd context");
}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

void Decompressor::decompress(Compression method, core::ByteSpan data, core::MutableByteSpan out) {
  switch (method) {
    case Compression::kNone:
      if (data.size() != out.size()) corrupt("plain", "it has another size");
      std::copy(data.begin(), data.end(), out.begin());
      return;
    case Compression::kZstd: {
      const std::size_t size = ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), data.data(), data.size());
      if (ZSTD_isError(size) != 0) corrupt("zstd", ZSTD_getErrorName(size));
      if (size != out.size()) corrupt("zstd", "it has another size");
      return;
    }
    case Compression::kLz4: {
      const int size =
          LZ4_decompress_safe(chars(data), chars(out), static_cast<int>(data.size()), static_cast<int>(out.size()));
      if (size < 0 || static_cast<std::size_t>(size) != out.size())
        corrupt("lz4", "it is malformed or of another size");
      return;
    }
  }
  throw core::Error(core::Code::kUnsupportedFormat,
                    fmt::format("compression method {} is not known", static_cast<int>(method)));
}

}  // namespace backstay::codec
