#include "api/fields.h"

#include <gtest/gtest.h>

namespace backstay::api {
namespace {

class FieldsTest : public testing::Test {
 protected:
  Fields fields_of(std::string_view text) {
    object_ = core::parse_json(text).get_object();
    return {object_, "/body", refused};
  }
  std::string refusals() const {
    std::string all;
    for (const auto& field : refused) all += field.pointer + " " + field.message + "; ";
    return all;
  }
  std::vector<core::FieldError> refused;

 private:
  core::json::object object_;
};

TEST_F(FieldsTest, ReadsEachType) {
  auto fields = fields_of(R"({"s":"x","i":7,"b":true,"o":{"k":1},"t":"2026-04-10T12:00:00Z","l":["a"],"n":[1,2]})");
  EXPECT_EQ(fields.text("s"), "x");
  EXPECT_EQ(fields.integer("i"), 7);
  EXPECT_EQ(fields.flag("b"), true);
  EXPECT_EQ(fields.object("o")->size(), 1U);
  EXPECT_EQ(core::format_time(fields.time("t").value()), "2026-04-10T12:00:00Z");
  EXPECT_EQ(fields.texts("l"), std::vector<std::string>{"a"});
  EXPECT_EQ(fields.integers("n"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_TRUE(refused.empty());
}

TEST_F(FieldsTest, TakesNullAsAbsent) {
  auto fields = fields_of(R"({"s":null})");
  EXPECT_EQ(fields.text("s"), std::nullopt);
  EXPECT_TRUE(refused.empty());
}

TEST_F(FieldsTest, CollectsEveryWrongFieldOnce) {
  auto fields = fields_of(R"({"s":1,"i":"7","b":"true","o":[],"t":"noon","l":[1],"n":["1"],"k":{"p":1}})");
  EXPECT_EQ(fields.text("s"), std::nullopt);
  EXPECT_EQ(fields.integer("i"), std::nullopt);
  EXPECT_EQ(fields.flag("b"), std::nullopt);
  EXPECT_EQ(fields.object("o"), std::nullopt);
  EXPECT_EQ(fields.time("t"), std::nullopt);
  EXPECT_EQ(fields.texts("l"), std::nullopt);
  EXPECT_EQ(fields.integers("n"), std::nullopt);
  EXPECT_EQ(fields.secrets("k"), std::nullopt);
  ASSERT_EQ(refused.size(), 8U) << refusals();
  EXPECT_EQ(refused[0].pointer, "/body/s");
  EXPECT_EQ(refused[0].message, "must be a string");
  EXPECT_EQ(refused[7].pointer, "/body/k/p");
}

TEST_F(FieldsTest, RefusesAFraction) {
  auto fields = fields_of(R"({"i":0.5})");
  EXPECT_EQ(fields.integer("i"), std::nullopt);
  EXPECT_EQ(refusals(), "/body/i must be an integer; ");
}

TEST_F(FieldsTest, EscapesPointers) {
  auto fields = fields_of(R"({"a/b~c":1})");
  EXPECT_EQ(fields.text("a/b~c"), std::nullopt);
  EXPECT_EQ(refusals(), "/body/a~1b~0c must be a string; ");
}

}  // namespace
}  // namespace backstay::api
