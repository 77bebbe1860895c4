#include "codec/stream_decompressor.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

constexpr std::size_t kPiece = 128 * 1024;
/// What zstd's own program takes without being asked: 128 MiB of memory.
constexpr int kWindowLog = 27;
/// zlib: the largest window, and a gzip header.
constexpr int kGzipWindow = 15 + 16;

[[noreturn]] void refuse(std::string_view what, std::string_view why) {
  throw core::Error(core::Code::kCorruptData, fmt::format("the {} data are damaged: {}", what, why));
}

}  // namespace

class StreamDecompressor::Impl {
 public:
  virtual ~Impl() = default;
  virtual void feed(core::ByteSpan data) = 0;
  virtual void finish() = 0;
  Sink sink;
};

namespace {

class Gzip final : public StreamDecompressor::Impl {
 public:
  Gzip() : piece_(kPiece) {
    if (::inflateInit2(&stream_, kGzipWindow) != Z_OK) {
      throw core::Error(core::Code::kInternal, "zlib cannot be set up");
    }
  }
  ~Gzip() override { ::inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  void feed(core::ByteSpan data) override {
    // zlib does not write to its input.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data.data()));
    stream_.avail_in = static_cast<uInt>(data.size());
    while (stream_.avail_in > 0 || full_) {
      if (ended_) {
        if (*stream_.next_in == 0) {  // padding, as of tapes
          ++stream_.next_in;
          --stream_.avail_in;
          continue;
        }
        ::inflateReset(&stream_);
        ended_ = false;
      }
      inflate_piece();
    }
  }
  void finish() override {
    if (!ended_) refuse("gzip", "they end in the middle");
  }

 private:
  void inflate_piece() {
    stream_.next_out = reinterpret_cast<Bytef*>(piece_.data());
    stream_.avail_out = static_cast<uInt>(piece_.size());
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      refuse("gzip", stream_.msg == nullptr ? "no valid stream" : stream_.msg);
    }
    ended_ = result == Z_STREAM_END;
    full_ = !ended_ && stream_.avail_out == 0;
    const std::size_t got = piece_.size() - stream_.avail_out;
    if (got > 0) sink(core::ByteSpan(piece_).first(got));
  }

  z_stream stream_{};
  core::Bytes piece_;
  bool ended_ = false;
  bool full_ = false;
};

class Zstd final : public StreamDecompressor::Impl {
 public:
  Zstd() : context_(::ZSTD_createDCtx()), piece_(kPiece) {
    if (!context_) throw core::Error(core::Code::kInternal, "zstd cannot be set up");
    ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog);
  }

  void feed(core::ByteSpan data) override {
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    bool full = false;
    while (in.pos < in.size || full) {
      ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
      left_ = ::ZSTD_decompressStream(context_.get(), &out, &in);
      if (::ZSTD_isError(left_) != 0) refuse("zstd", ::ZSTD_getErrorName(left_));
      full = left_ > 0 && out.pos == out.size;
      if (out.pos > 0) sink(core::ByteSpan(piece_).first(out.pos));
    }
  }
  void finish() override {
    if (left_ != 0) refuse("zstd", "they end in the middle");
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  core::Bytes piece_;
  std::size_t left_ = 1;
};

}  // namespace

StreamDecompressor::StreamDecompressor(StreamFormat format, Sink sink) {
  if (format == StreamFormat::kGzip) {
    impl_ = std::make_unique<Gzip>();
  } else {
    impl_ = std::make_unique<Zstd>();
  }
  impl_->sink = std::move(sink);
}
StreamDecompressor::~StreamDecompressor() = default;

void StreamDecompressor::feed(core::ByteSpan data) { impl_->feed(data); }
void StreamDecompressor::finish() { impl_->finish(); }

}  // namespace backstay::codec
