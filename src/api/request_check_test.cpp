#include "api/request_check.h"

#include <gtest/gtest.h>

#include "api/house/schemas.h"

namespace backstay::api {
namespace {

using Texts = std::vector<std::string>;

/// "pointer message" of each refused field.
Texts refusals(const Endpoint& endpoint, const http::Request& request) {
  try {
    RequestCheck(endpoint, house::component_schemas()).check(request);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
    Texts all;
    for (const auto& field : error.fields()) all.push_back(field.pointer + " " + field.message);
    return all;
  }
  return {};
}

Texts body_refusals(std::string_view component, std::string body) {
  http::Request request;
  request.body = std::move(body);
  return refusals({.method = "POST", .path = "/x", .operation = "x", .tag = "X", .summary = "", .body = ref(component)},
                  request);
}

Texts query_refusals(Base base, std::vector<std::pair<std::string, std::string>> query) {
  const Endpoint endpoint{
      .method = "GET",
      .path = "/x",
      .operation = "x",
      .tag = "X",
      .summary = "",
      .base = base,
      .query = {
          {.name = "team", .description = "", .schema = {{"type", "integer"}, {"minimum", 0}}},
          {.name = "all", .description = "", .schema = {{"type", "boolean"}}},
          {.name = "id", .description = "", .schema = {{"type", "string"}, {"format", "uuid"}}, .required = true}}};
  http::Request request;
  request.query = std::move(query);
  return refusals(endpoint, request);
}

const std::pair<std::string, std::string> kId{"id", "6f1c7c4e-6f0e-4a8e-9a53-0f8d8b0f1a11"};

TEST(RequestCheckTest, NamesEveryWrongFieldOfABody) {
  EXPECT_EQ(body_refusals("CreateManagedService", "{}"),
            (Texts{"/teamId is required", "/name is required", "/provider is required", "/plan is required"}));
  EXPECT_EQ(body_refusals("CreateManagedService", R"({"teamId":"1","name":5,"provider":{},"plan":{"id":"x"},
                      "config":[],"secrets":{"p":1},"backups":{"enabled":"yes","intervalH":1.5}})"),
            (Texts{"/teamId must be an integer", "/name must be a string", "/provider/name is required",
                   "/plan/parameters is required", "/plan/id must be an integer", "/config must be null or an object",
                   "/secrets/p must be a string", "/backups/enabled must be null or a boolean",
                   "/backups/intervalH must be null or an integer"}));
  EXPECT_EQ(body_refusals("CreateManagedService",
                          R"({"teamId":1,"name":"a","provider":{"name":"p"},"plan":{"id":0,"parameters":{}},
                              "recoverFrom":{"id":"BACKUP_UUID_HERE"}})"),
            Texts{"/recoverFrom/id must have the format 'uuid'"});
}

TEST(RequestCheckTest, TakesNullWhereAFieldMayBeAbsent) {
  EXPECT_EQ(body_refusals("UpdateManagedService", R"({"name":null,"config":null,"secrets":null,"plan":null,
                           "backups":{"enabled":null,"config":null},"pause":null,"version":null,"unknown":1})"),
            Texts{});
}

TEST(RequestCheckTest, RefusesUnknownFieldsInOwnBodies) {
  EXPECT_EQ(body_refusals("CreateToken", R"({"name":"ci","scope":"read"})"), Texts{"/scope is not a known property"});
  EXPECT_EQ(body_refusals("CreateDestination", R"({"teamId":1,"name":"d","config":{},"url":"x"})"),
            Texts{"/url is not a known property"});
}

TEST(RequestCheckTest, ReadsQueryValuesAsWhatTheyStandFor) {
  EXPECT_EQ(query_refusals(Base::kOwn, {kId, {"team", "3"}, {"all", "true"}}), Texts{});
  EXPECT_EQ(query_refusals(Base::kOwn, {kId, {"team", "x"}, {"all", "yes"}}),
            (Texts{"?team must be an integer", "?all must be a boolean"}));
  EXPECT_EQ(query_refusals(Base::kOwn, {kId, {"team", "-1"}}), Texts{"?team must be at least 0"});
  EXPECT_EQ(query_refusals(Base::kOwn, {{"id", "7"}}), Texts{"?id must have the format 'uuid'"});
  EXPECT_EQ(query_refusals(Base::kOwn, {}), Texts{"?id is required"});
}

TEST(RequestCheckTest, KnowsNoOtherParametersInItsOwnCalls) {
  EXPECT_EQ(query_refusals(Base::kOwn, {kId, {"tem", "3"}}), Texts{"?tem is not a parameter of this call"});
  EXPECT_EQ(query_refusals(Base::kContract, {kId, {"tem", "3"}}), Texts{});
  EXPECT_EQ(query_refusals(Base::kContract, {kId, {"dryRun", "true"}}),
            Texts{"?dryRun is not a parameter of this call"});
}

TEST(RequestCheckTest, SaysWhatIsNoJson) {
  http::Request request;
  request.body = "{";
  const RequestCheck check(
      {.method = "POST", .path = "/x", .operation = "x", .tag = "X", .summary = "", .body = ref("CreateTeam")},
      house::component_schemas());
  try {
    check.check(request);
    FAIL() << "did not throw";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kMalformedJson);
  }
  EXPECT_EQ(body_refusals("CreateTeam", "[]"), Texts{" must be an object"});
}

TEST(RequestCheckTest, ThrowsWithEveryRefusedField) {
  EXPECT_NO_THROW(require_none_refused({}));
  try {
    require_none_refused({{"/a", "is required"}, {"/b", "must be a string"}});
    FAIL() << "did not throw";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
    EXPECT_STREQ(error.what(), "/a is required (and 1 more)");
    EXPECT_EQ(error.fields().size(), 2U);
  }
}

TEST(RequestCheckTest, RefusesADescriptionOfWhatIsNotThere) {
  EXPECT_THROW(
      RequestCheck(
          {.method = "POST", .path = "/x", .operation = "x", .tag = "X", .summary = "", .body = ref("NoSuchThing")},
          house::component_schemas()),
      core::Error);
}

}  // namespace
}  // namespace backstay::api
