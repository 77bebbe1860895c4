#include "api/entity_tags.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::api {
namespace {

http::Request with(const std::string& name, const std::string& value) {
  http::Request request;
  request.headers.set(name, value);
  return request;
}

http::Response answer(const std::string& body) {
  return {.status = 200, .headers = {{"Content-Type", "application/json"}}, .body = body, .stream = {}};
}

TEST(EntityTagsTest, TagsAnAnswerByItsBody) {
  const auto first = tagged({}, answer("{}")).headers.find("ETag").value();
  EXPECT_EQ(first.size(), 34U);
  EXPECT_EQ(tagged({}, answer("{}")).headers.find("ETag"), first);
  EXPECT_NE(tagged({}, answer("{ }")).headers.find("ETag"), first);
}

TEST(EntityTagsTest, SendsNothingThatTheClientHas) {
  const auto tag = body_tag("{}");
  for (const auto& seen : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
    const auto response = tagged(with("If-None-Match", seen), answer("{}"));
    EXPECT_EQ(response.status, 304) << seen;
    EXPECT_EQ(response.body, "");
    EXPECT_EQ(response.headers.find("ETag"), tag);
    EXPECT_EQ(response.headers.find("Content-Type"), std::nullopt);
  }
  EXPECT_EQ(tagged(with("If-None-Match", "\"other\""), answer("{}")).status, 200);
}

TEST(EntityTagsTest, ReadsTheGenerationsOfIfMatch) {
  EXPECT_EQ(matched_generations({}), std::nullopt);
  EXPECT_EQ(matched_generations(with("If-Match", "*")), std::nullopt);
  EXPECT_EQ(matched_generations(with("If-Match", generation_tag(7, "{}"))), (std::set<std::int64_t>{7}));
  EXPECT_EQ(matched_generations(with("If-Match", "\"7-a\", \"9-b\"")), (std::set<std::int64_t>{7, 9}));
  for (const std::string foreign : {"", "7", "\"7\"", "\"x-7\"", "7-a", "\"7"}) {
    EXPECT_EQ(matched_generations(with("If-Match", foreign)), std::set<std::int64_t>{}) << foreign;
  }
}

TEST(EntityTagsTest, RefusesToChangeWhatWasNotSeen) {
  EXPECT_NO_THROW(require_match({}, "\"a\"", "destination"));
  EXPECT_NO_THROW(require_match(with("If-Match", "\"b\", \"a\""), "\"a\"", "destination"));
  try {
    require_match(with("If-Match", "\"b\""), "\"a\"", "destination");
    FAIL() << "did not throw";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kPreconditionFailed);
  }
}

}  // namespace
}  // namespace backstay::api
