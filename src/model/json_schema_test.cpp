#include "model/json_schema.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace backstay::model {
namespace {

namespace json = core::json;

json::value parse(std::string_view text) { return core::parse_json(text); }

std::string violations(std::string_view schema, std::string_view value) {
  std::string text;
  for (const auto& field : JsonSchema::compile(parse(schema)).validate(parse(value))) {
    text += field.pointer + ": " + field.message + "\n";
  }
  return text;
}

std::string refused_at(std::string_view schema) {
  try {
    JsonSchema::compile(parse(schema));
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
    return error.fields().at(0).pointer;
  }
  return "compiled";
}

TEST(JsonSchemaTest, NamesEachWrongPlaceByItsPointer) {
  constexpr auto kSchema = R"({"type":"object","required":["a","b"],"additionalProperties":false,
    "properties":{"a":{"type":"integer","minimum":512},"b":{"type":"string"},
                  "c":{"type":"array","items":{"enum":["x","y"]}}}})";
  EXPECT_EQ(violations(kSchema, R"({"a":10,"c":["x","z"],"d/e":1})"),
            "/b: is required\n"
            "/a: must be at least 512\n"
            "/c/1: must be one of \"x\", \"y\"\n"
            "/d~1e: is not a known property\n");
  EXPECT_EQ(violations(kSchema, R"({"a":512,"b":""})"), "");
}

TEST(JsonSchemaTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(refused_at(R"({"type":"object","properties":{"a":{"minimumm":1}}})"), "/properties/a/minimumm");
  EXPECT_EQ(refused_at(R"({"dependencies":{}})"), "/dependencies");
  EXPECT_EQ(refused_at(R"({"type":"text"})"), "/type");
  EXPECT_EQ(refused_at(R"({"format":"ipv9"})"), "/format");
  EXPECT_EQ(refused_at(R"({"pattern":"("})"), "/pattern");
  EXPECT_EQ(refused_at(R"({"$ref":"https://example.org/schema"})"), "/$ref");
  EXPECT_EQ(refused_at(R"({"$ref":"#/definitions/missing"})"), "/$ref");
  EXPECT_EQ(refused_at(R"({"$ref":"#/$defs/a","minimum":1,"$defs":{"a":true}})"), "/minimum");
  EXPECT_EQ(refused_at(R"({"x-update-constraint":"sometimes"})"), "/x-update-constraint");
  EXPECT_EQ(refused_at(R"({"minLength":-1})"), "/minLength");
  EXPECT_EQ(refused_at(R"({"x-pricing":{"any":"thing"},"readOnly":true,"title":"t"})"), "compiled");
}

TEST(JsonSchemaTest, PatternsLookAheadAndBehindAndSeeCodePoints) {
  const auto check = [](std::string_view pattern, std::string_view text) {
    const auto schema = JsonSchema::compile(json::object{{"pattern", pattern}});
    return schema.validate(json::value(text)).empty();
  };
  EXPECT_FALSE(check("^(?!postgres$)", "postgres"));
  EXPECT_TRUE(check("^(?!postgres$)", "postgres2"));
  EXPECT_FALSE(check("(?<!-)$", "a-"));
  EXPECT_TRUE(check("(?<!-)$", "a-b"));
  EXPECT_TRUE(check("^.{2}$", "äö"));
  // The end of the text only: a line break does not slip through.
  EXPECT_FALSE(check("^[a-z]+$", "abc\n"));
  EXPECT_FALSE(check("^[a-z]+$", "a\nabc"));
}

TEST(JsonSchemaTest, ABoundedSearchAnswersInsteadOfHanging) {
  const auto hard = JsonSchema::compile(json::object{{"pattern", "^(a|aa|a?)+$"}});
  EXPECT_FALSE(hard.validate(json::value(std::string(40, 'a') + "!")).empty());
  const auto easy = JsonSchema::compile(json::object{{"pattern", "a"}});
  const auto found = easy.validate(json::value(std::string(70000, 'a')));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].message, "is too long for the pattern a");
}

TEST(JsonSchemaTest, TuplesAndWhatFollowsThem) {
  constexpr auto kSchema = R"({"prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})";
  EXPECT_EQ(violations(kSchema, R"(["a",1])"), "");
  EXPECT_EQ(violations(kSchema, R"([1])"), "/0: must be a string\n");
  EXPECT_EQ(violations(kSchema, R"(["a",1,2])"), "/2: is not allowed here\n");
}

TEST(JsonSchemaTest, NumbersHaveTheirFormats) {
  EXPECT_EQ(violations(R"({"format":"int32"})", "2147483647"), "");
  EXPECT_EQ(violations(R"({"format":"int32"})", "2147483648"), ": must have the format 'int32'\n");
  EXPECT_EQ(violations(R"({"format":"int64"})", "9223372036854775808"), ": must have the format 'int64'\n");
  EXPECT_EQ(violations(R"({"format":"byte"})", R"("YQ")"), ": must have the format 'byte'\n");
  EXPECT_EQ(violations(R"({"format":"uuid"})", R"("x")"), ": must have the format 'uuid'\n");
}

TEST(JsonSchemaTest, ABoundMayBeMoreThanCanBeCounted) {
  const std::string most(40, '9');
  EXPECT_EQ(violations("{\"maxLength\":" + most + "}", R"("text")"), "");
  EXPECT_NE(violations("{\"minItems\":" + most + "}", "[1]"), "");
}

TEST(JsonSchemaTest, AnEndlessReferenceIsAViolation) {
  EXPECT_EQ(violations(R"({"$ref":"#"})", "1"), ": nests too deeply to be checked\n");
}

TEST(JsonSchemaTest, RequireValidThrowsEveryField) {
  const auto schema = JsonSchema::compile(parse(R"({"properties":{"a":{"type":"string"},"b":{"type":"string"}}})"));
  try {
    schema.require_valid(parse(R"({"a":1,"b":2})"), "/config");
    FAIL();
  } catch (const core::Error& error) {
    ASSERT_EQ(error.fields().size(), 2U);
    EXPECT_EQ(error.fields()[0].pointer, "/config/a");
    EXPECT_EQ(error.fields()[1].pointer, "/config/b");
  }
}

TEST(JsonSchemaTest, FillsDefaultsOfNamedProperties) {
  const auto schema = parse(R"({"properties":{"a":{"default":1},"b":{"default":2},
                                              "c":{"properties":{"d":{"default":"x"}}}}})");
  EXPECT_EQ(with_defaults(schema.as_object(), parse(R"({"b":3,"c":{}})").as_object()),
            parse(R"({"b":3,"c":{"d":"x"},"a":1})").as_object());
}

std::string constraint_violations(std::string_view constraint, std::string_view before, std::string_view after) {
  const auto schema = parse(R"({"properties":{"v":{"x-update-constraint":")" + std::string(constraint) + R"("}}})");
  const json::object from{{"v", parse(before)}};
  const json::object to{{"v", parse(after)}};
  std::string text;
  for (const auto& field : check_update_constraints(schema.as_object(), from, to, "/config")) {
    text += field.pointer + ": " + field.message;
  }
  return text;
}

TEST(JsonSchemaTest, UpdateConstraints) {
  EXPECT_EQ(constraint_violations("immutable", "\"a\"", "\"b\""), "/config/v: cannot be changed");
  EXPECT_EQ(constraint_violations("immutable", "\"a\"", "\"a\""), "");
  EXPECT_EQ(constraint_violations("increase-only", "5", "4"), "/config/v: can only be increased from 5");
  EXPECT_EQ(constraint_violations("increase-only", "\"5\"", "6"), "");
  EXPECT_EQ(constraint_violations("minor-upgrade-only", "\"15.3\"", "\"15.10\""), "");
  EXPECT_EQ(constraint_violations("minor-upgrade-only", "\"15.10\"", "\"15.3\""),
            "/config/v: can only be raised within major version 15.10");
  EXPECT_EQ(constraint_violations("minor-upgrade-only", "\"15\"", "\"16\""),
            "/config/v: can only be raised within major version 15");
  const auto schema = parse(R"({"properties":{"v":{"x-update-constraint":"immutable"},"free":{}}})").as_object();
  const auto taken_back = check_update_constraints(schema, {{"v", 1}, {"free", 1}}, {}, "/config");
  ASSERT_EQ(taken_back.size(), 1U);
  EXPECT_EQ(taken_back[0].pointer, "/config/v");
  EXPECT_TRUE(check_update_constraints(schema, {}, {{"v", 1}}, "/config").empty()) << "for the first time";
}

// The official suite. What the subset leaves out is named here, file by file and group by group.
struct SuiteCount {
  int files = 0, groups = 0, cases = 0;
};

const std::filesystem::path kSuite = "/usr/share/json-schema-test-suite/tests";

json::value read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  return core::parse_json(text.str());
}

void run_file(const std::filesystem::path& file, const std::set<std::string>& left_out, SuiteCount& count,
              std::set<std::string>& met) {
  ++count.files;
  const auto groups = read_json(file);
  for (const auto& group : groups.as_array()) {
    const auto name = file.stem().string() + ": " + std::string(group.at("description").as_string());
    if (left_out.contains(name)) {
      met.insert(name);
      EXPECT_THROW(JsonSchema::compile(group.at("schema")), core::Error) << name;
      continue;
    }
    ++count.groups;
    SCOPED_TRACE(name);
    try {
      const auto schema = JsonSchema::compile(group.at("schema"));
      for (const auto& test : group.at("tests").as_array()) {
        ++count.cases;
        EXPECT_EQ(schema.validate(test.at("data")).empty(), test.at("valid").as_bool())
            << test.at("description").as_string() << ": " << core::to_text(test.at("data"));
      }
    } catch (const core::Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(JsonSchemaSuiteTest, Draft7) {
  const std::set<std::string> files_left_out{"additionalItems", "dependencies", "refRemote"};
  const std::set<std::string> groups_left_out{
      // The meta-schema, by its address.
      "definitions: valid definition", "definitions: invalid definition", "ref: remote ref, containing refs itself",
      // Sub-schemas with addresses of their own.
      "ref: Recursive references between schemas",
      // Tuples in draft-07's form; prefixItems says the same.
      "items: an array of schemas for items", "items: items with boolean schemas", "ref: relative pointer ref to array",
      // Schemas below keywords that do not exist.
      "ref: escaped pointer ref",
      // The drafts contradict each other.
      "ref: ref overrides any sibling keywords"};
  SuiteCount count;
  std::set<std::string> met;
  for (const auto& entry : std::filesystem::directory_iterator(kSuite / "draft7")) {
    if (!entry.is_regular_file() || files_left_out.contains(entry.path().stem().string())) continue;
    run_file(entry.path(), groups_left_out, count, met);
  }
  for (const char* format : {"date", "date-time", "hostname", "uri"}) {
    run_file(kSuite / "draft7/optional/format" / (std::string(format) + ".json"), groups_left_out, count, met);
  }
  EXPECT_EQ(met, groups_left_out);
  EXPECT_EQ(count.files, 36);
  EXPECT_EQ(count.groups, 102);
  EXPECT_EQ(count.cases, 385);
}

}  // namespace
}  // namespace backstay::model
