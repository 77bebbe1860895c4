#include "codec/compression.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"

namespace backstay::codec {
namespace {

class CompressionTest : public ::testing::TestWithParam<Compression> {
 protected:
  core::Bytes compress(core::ByteSpan data) {
    core::Bytes out(compressor_.bound(data.size()));
    out.resize(compressor_.compress(data, out));
    return out;
  }
  Compressor compressor_{GetParam()};
  Decompressor decompressor_;
};

TEST_P(CompressionTest, RoundTripsWithReusedContexts) {
  core::SystemRandom random;
  for (const std::size_t size : {0U, 1U, 100U, 8192U, 262144U}) {
    core::Bytes data = random.bytes(size);
    std::fill(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size / 2), std::byte{7});
    const core::Bytes packed = compress(data);
    if (GetParam() != Compression::kNone && size > 1000) EXPECT_LT(packed.size(), size * 2 / 3);
    core::Bytes back(size);
    decompressor_.decompress(GetParam(), packed, back);
    EXPECT_EQ(back, data);
  }
}

TEST_P(CompressionTest, RefusesAnotherSize) {
  const core::Bytes packed = compress(core::Bytes(1000, std::byte{1}));
  for (const std::size_t size : {999U, 1001U}) {
    core::Bytes out(size);
    EXPECT_THROW(decompressor_.decompress(GetParam(), packed, out), core::Error);
  }
}

TEST_P(CompressionTest, RefusesGarbage) {
  core::Bytes out(1000);
  EXPECT_THROW(decompressor_.decompress(GetParam(), core::Bytes(50, std::byte{0xf3}), out), core::Error);
}

INSTANTIATE_TEST_SUITE_P(All, CompressionTest,
                         ::testing::Values(Compression::kNone, Compression::kZstd, Compression::kLz4));

TEST(ParseCompressionTest, KnowsTheNames) {
  EXPECT_EQ(parse_compression("lz4"), Compression::kLz4);
  EXPECT_THROW(parse_compression("gzip"), core::Error);
}

}  // namespace
}  // namespace backstay::codec
