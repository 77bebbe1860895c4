#include "core/json.h"

#include <functional>

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::core {
namespace {

std::string pointer_of_error(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.fields().empty() ? std::string(code_name(e.code())) : e.fields().front().pointer;
  }
  return "no error";
}

TEST(JsonTest, RefusesBrokenText) {
  for (const auto* text : {"", "{", "{}x", "{\"a\":}", "nul", "[1,]", "\"\xff\""}) {
    EXPECT_EQ(pointer_of_error([&] { parse_json(text); }), "malformed_json") << text;
  }
}

TEST(JsonTest, RefusesDeepNesting) {
  EXPECT_NO_THROW(parse_json(std::string(60, '[') + std::string(60, ']')));
  EXPECT_THROW(parse_json(std::string(100, '[') + std::string(100, ']')), Error);
}

TEST(JsonTest, ReadsTypedFields) {
  const auto value = parse_json(R"({"s":"x","i":7,"b":true,"o":{"k":1},"a":[1],"n":null})");
  const auto& object = as_object(value);
  EXPECT_EQ(find_string(object, "s"), "x");
  EXPECT_EQ(find_int(object, "i"), 7);
  EXPECT_EQ(find_bool(object, "b"), true);
  EXPECT_NE(find_object(object, "o"), nullptr);
  EXPECT_NE(find_array(object, "a"), nullptr);
  EXPECT_EQ(find_string(object, "n"), std::nullopt);
  EXPECT_EQ(find_string(object, "absent"), std::nullopt);
}

TEST(JsonTest, NamesTheFieldOfAWrongType) {
  const auto value = parse_json(R"({"plan":{"id":"one","x":1.5}})");
  const auto& plan = require_object(as_object(value), "plan");
  EXPECT_EQ(pointer_of_error([&] { require_int(plan, "id", "/plan"); }), "/plan/id");
  EXPECT_EQ(pointer_of_error([&] { require_int(plan, "x", "/plan"); }), "/plan/x");
  EXPECT_EQ(pointer_of_error([&] { require_string(plan, "name", "/plan"); }), "/plan/name");
}

TEST(JsonTest, PointersEscape) { EXPECT_EQ(pointer_to("/a", "b/c~d"), "/a/b~1c~0d"); }

TEST(JsonTest, PrettyTextParsesBack) {
  const auto value = parse_json(R"({"a":[1,{"b":"c"}],"d":{},"e":[]})");
  EXPECT_EQ(parse_json(to_pretty_text(value)), value);
}

}  // namespace
}  // namespace backstay::core
