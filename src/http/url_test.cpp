#include <gtest/gtest.h>

#include "core/error.h"
#include "http/client.h"

namespace backstay::http {
namespace {

TEST(UrlTest, SplitsIntoParts) {
  const Url url = parse_url("https://S3.Example.com:9000/bucket/a%20b?list-type=2#part");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "s3.example.com");
  EXPECT_EQ(url.port, 9000);
  EXPECT_EQ(url.path, "/bucket/a%20b");
  EXPECT_EQ(url.query, "list-type=2");
  EXPECT_EQ(url.authority(), "s3.example.com:9000");
}

TEST(UrlTest, FillsInWhatIsLeftOut) {
  EXPECT_EQ(parse_url("http://host").path, "/");
  EXPECT_EQ(parse_url("http://host").port, 80);
  EXPECT_EQ(parse_url("https://host:443/").authority(), "host");
  EXPECT_EQ(parse_url("http://host?x=1").query, "x=1");
  EXPECT_EQ(parse_url("http://[::1]:8080/").authority(), "[::1]:8080");
  EXPECT_EQ(parse_url("http://[::1]/").host, "::1");
}

TEST(UrlTest, RefusesWhatCannotBeUsed) {
  for (const auto* text : {"", "host", "ftp://host/", "file:///etc/passwd", "http://", "http:///path", "http://host:0/",
                           "http://host:65536/", "http://host:x/", "http://ho st/", "http://[::1/", "http://[::1]x/",
                           "http://h\xc3\xb6st/", "http://host/a b", "http://host\\evil/"}) {
    EXPECT_THROW(parse_url(text), core::Error) << text;
  }
}

TEST(UrlTest, DoesNotRepeatAPassword) {
  try {
    parse_url("https://user:hunter2@host/");
    FAIL() << "accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.message().find("hunter2"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace backstay::http
