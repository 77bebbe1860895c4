#include "codec/crc32c.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace backstay::codec {
namespace {

TEST(Crc32cTest, KnownAnswers) {
  EXPECT_EQ(crc32c(core::as_bytes("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c(core::Bytes(32)), 0x8a9136aaU);  // RFC 3720 B.4
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32cTest, BothWaysAgreeAndGoOn) {
  core::SystemRandom random;
  const core::Bytes data = random.bytes(1000);
  for (std::size_t size = 0; size < data.size(); size += 7) {
    const auto part = core::ByteSpan(data).first(size);
    EXPECT_EQ(crc32c(part), detail::crc32c_table(part, 0)) << core::to_hex(part);
    const auto split = size / 3;
    EXPECT_EQ(crc32c(part.subspan(split), crc32c(part.first(split))), crc32c(part));
  }
}

}  // namespace
}  // namespace backstay::codec
