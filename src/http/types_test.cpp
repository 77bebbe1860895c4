#include "http/types.h"

#include <gtest/gtest.h>

namespace backstay::http {
namespace {

TEST(HeadersTest, ComparesNamesWithoutCase) {
  Headers headers = {{"Content-Type", "a"}, {"X-One", "1"}, {"x-one", "2"}};
  EXPECT_EQ(headers.find("content-type"), "a");
  EXPECT_EQ(headers.find("X-ONE"), "1");
  headers.set("x-ONE", "3");
  EXPECT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers.find("x-one"), "3");
  headers.remove("CONTENT-TYPE");
  EXPECT_FALSE(headers.find("Content-Type"));
}

TEST(QueryTest, DecodesPairsInOrder) {
  const auto query = parse_query("a=1&b=%20c+d&flag&=x&a=2&&e==");
  ASSERT_EQ(query.size(), 6U);
  EXPECT_EQ(query[0], std::make_pair(std::string("a"), std::string("1")));
  EXPECT_EQ(query[1].second, " c d");
  EXPECT_EQ(query[2].first, "flag");
  EXPECT_EQ(query[5].second, "=");
  EXPECT_TRUE(parse_query("").empty());
  EXPECT_THROW(parse_query("a=%4"), core::Error);
}

TEST(RequestTest, FindsQueryAndParameters) {
  Request request;
  request.query = parse_query("a=1&a=2&flag");
  request.params["id"] = "7";
  EXPECT_EQ(request.query_value("a"), "1");
  EXPECT_EQ(request.query_value("flag"), "");
  EXPECT_FALSE(request.query_value("b"));
  EXPECT_EQ(request.param("id"), "7");
  EXPECT_THROW((void)request.param("name"), core::Error);
}

}  // namespace
}  // namespace backstay::http
