#include "core/text.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::core {
namespace {

TEST(TextTest, SplitsKeepingEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
}

TEST(TextTest, TrimsBothEnds) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(TextTest, ParsesWholeNumbersOnly) {
  EXPECT_EQ(parse_int("-12"), -12);
  EXPECT_EQ(parse_int("12x"), std::nullopt);
  EXPECT_EQ(parse_int(""), std::nullopt);
  EXPECT_EQ(parse_int("99999999999999999999"), std::nullopt);
  EXPECT_EQ(parse_hex("ff"), 255U);
}

TEST(TextTest, FormatsBytes) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(3ULL << 30), "3.0 GiB");
}

TEST(TextTest, UrlEncodingRoundTrips) {
  EXPECT_EQ(url_encode("a b/c?ü"), "a%20b%2Fc%3F%C3%BC");
  EXPECT_EQ(url_encode("a/b", true), "a/b");
  EXPECT_EQ(url_decode("a%20b%2Fc"), "a b/c");
  EXPECT_THROW(url_decode("%2"), Error);
  EXPECT_THROW(url_decode("%zz"), Error);
}

}  // namespace
}  // namespace backstay::core
