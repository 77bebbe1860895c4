#include "codec/stream_decompressor.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

core::Bytes bytes_of(std::string_view text) {
  const auto span = core::as_bytes(text);
  return {span.begin(), span.end()};
}

core::Bytes gzipped(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  core::Bytes out(text.size() + 1000);
  std::string copy = text;
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

core::Bytes zstd(const std::string& text) {
  core::Bytes out(ZSTD_compressBound(text.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

core::Bytes compressed(StreamFormat format, const std::string& text) {
  return format == StreamFormat::kGzip ? gzipped(text) : zstd(text);
}

std::string decompressed(StreamFormat format, const core::Bytes& data, std::size_t piece) {
  std::string text;
  StreamDecompressor stream(format, [&](core::ByteSpan part) {
    EXPECT_LE(part.size(), 512u * 1024);
    text += core::as_text(part);
  });
  for (std::size_t at = 0; at < data.size(); at += piece) {
    stream.feed(core::ByteSpan(data).subspan(at, std::min(piece, data.size() - at)));
  }
  stream.finish();
  return text;
}

class StreamDecompressorTest : public testing::TestWithParam<StreamFormat> {};

TEST_P(StreamDecompressorTest, GivesBackWhatWasCompressed) {
  for (const std::size_t size : {0U, 1U, 1000U, 128U * 1024, 3U << 20}) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; i += 7) text[i] = static_cast<char>('b' + i % 19);
    for (const std::size_t piece : {1000U, 1U << 24}) {
      EXPECT_EQ(decompressed(GetParam(), compressed(GetParam(), text), piece), text);
    }
  }
}

TEST_P(StreamDecompressorTest, TakesSeveralStreamsAfterEachOther) {
  auto data = compressed(GetParam(), "one ");
  const auto second = compressed(GetParam(), "two");
  data.insert(data.end(), second.begin(), second.end());
  for (const std::size_t piece : {1U, 1000U}) EXPECT_EQ(decompressed(GetParam(), data, piece), "one two");
}

TEST_P(StreamDecompressorTest, RefusesWhatIsDamagedOrNotWhole) {
  auto data = compressed(GetParam(), std::string(100'000, 'x'));
  auto shorter = data;
  shorter.resize(shorter.size() - 3);
  EXPECT_THROW(decompressed(GetParam(), shorter, 1000), core::Error);
  data[1] ^= std::byte{0xFF};
  EXPECT_THROW(decompressed(GetParam(), data, 1000), core::Error);
  EXPECT_THROW(decompressed(GetParam(), bytes_of("SELECT 1;"), 1000), core::Error);
}

TEST_P(StreamDecompressorTest, PassesAnErrorOfTheSinkOn) {
  StreamDecompressor stream(GetParam(), [](core::ByteSpan) { throw core::Error(core::Code::kDiskFull, "full"); });
  EXPECT_THROW(stream.feed(compressed(GetParam(), "text")), core::Error);
}

INSTANTIATE_TEST_SUITE_P(Formats, StreamDecompressorTest, testing::Values(StreamFormat::kGzip, StreamFormat::kZstd),
                         [](const auto& test) { return test.param == StreamFormat::kGzip ? "gzip" : "zstd"; });

}  // namespace
}  // namespace backstay::codec
