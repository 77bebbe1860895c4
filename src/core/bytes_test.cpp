#include "core/bytes.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::core {
namespace {

TEST(BytesTest, HexRoundTripsEveryByte) {
  Bytes all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(i);
  EXPECT_EQ(to_hex(ByteSpan(all).subspan(0, 4)), "00010203");
  EXPECT_EQ(from_hex(to_hex(all)), all);
}

TEST(BytesTest, HexRefusesOtherText) {
  EXPECT_THROW(from_hex("abc"), Error);
  EXPECT_THROW(from_hex("zz"), Error);
}

TEST(BytesTest, Base64MatchesRfc4648) {
  const std::array<std::pair<const char*, const char*>, 7> vectors{{{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), coded);
    EXPECT_EQ(as_text(from_base64(coded)), plain);
  }
}

TEST(BytesTest, Base64RefusesOtherText) {
  EXPECT_THROW(from_base64("Zg"), Error);
  EXPECT_THROW(from_base64("Z!=="), Error);
  EXPECT_THROW(from_base64("=Zg="), Error);
}

TEST(BytesTest, BigEndianRoundTrips) {
  Bytes out;
  append_be<std::uint64_t>(out, 0x0102030405060708U);
  EXPECT_EQ(to_hex(out), "0102030405060708");
  EXPECT_EQ(load_be<std::uint64_t>(out, 0), 0x0102030405060708U);
  EXPECT_EQ(load_be<std::uint16_t>(out, 6), 0x0708U);
}

}  // namespace
}  // namespace backstay::core
