#include "model/provider_document.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::model {
namespace {

namespace json = core::json;

json::object document() {
  return core::parse_json(R"({
    "name": "redis", "schemaVersion": "v1", "author": "a", "category": "databases", "displayName": "Redis",
    "iconUrl": "", "description": "d",
    "configSchema": {"type": "object", "properties": {"maxmemory": {"type": "string", "default": "1gb"}}},
    "secretsSchema": {"type": "object", "required": ["password"]},
    "detailsSchema": {"type": "object"},
    "backups": {"configSchema": {"type": "object"}, "secretsSchema": {"type": "object"}},
    "capabilities": {"pause": true, "backups": true},
    "plans": [{"id": 0, "name": "small", "description": "", "parameters": {
      "storage": {"pricedAs": "storage-mib", "schema": {"type": "integer", "default": 1024, "minimum": 1}},
      "memory": {"pricedAs": "ram-mib", "schema": {"type": "integer", "default": 256, "readOnly": true}}}}],
    "versions": {"7.2.1": {"gitRef": "v7", "ciProfile": "prod", "appVersion": "7.2"}},
    "backend": {"api": {"endpoint": "https://redis.example/api/v1/redis/", "secret": "s3cret"}}})")
      .as_object();
}

core::Error refusal_of(const json::object& bad) {
  try {
    provider_from_document(bad);
  } catch (const core::Error& error) {
    return error;
  }
  return {core::Code::kInternal, "nothing was refused"};
}

/// The pointers that a document with `value` at a JSON Pointer is refused with.
std::vector<std::string> refused(std::string_view pointer, json::value value) {
  json::value changed = document();
  const auto slash = pointer.rfind('/');
  changed.at_pointer(pointer.substr(0, slash)).as_object()[pointer.substr(slash + 1)] = std::move(value);
  std::vector<std::string> pointers;
  const auto error = refusal_of(changed.as_object());
  for (const auto& field : error.fields()) pointers.push_back(field.pointer);
  return pointers;
}

using Pointers = std::vector<std::string>;

TEST(ProviderDocumentTest, ReadsAWholeDocument) {
  const auto provider = provider_from_document(document());
  EXPECT_EQ(provider.name, "redis");
  EXPECT_EQ(provider.version, "v1");
  EXPECT_EQ(provider.kind, kRestKind);
  ASSERT_TRUE(provider.backend);
  EXPECT_EQ(provider.backend->endpoint, "https://redis.example/api/v1/redis");
  EXPECT_EQ(provider.backend->secret.reveal(), "s3cret");
  EXPECT_TRUE(provider.capabilities.pause);
  EXPECT_FALSE(provider.capabilities.point_in_time_recovery);
  const auto plan = resolve_plan(provider, 0, {{"storage", 4096}});
  EXPECT_EQ(plan.resources, (std::map<std::string, std::int64_t>{{"storage", 4096}, {"memory", 256}}));
  EXPECT_EQ(plan.parameters, (std::map<std::string, std::int64_t>{{"storage", 4096}}));
  EXPECT_TRUE(provider.versions.contains("7.2.1"));
}

TEST(ProviderDocumentTest, WhatIsListedReadsBackAndHasNoSecret) {
  const auto listed = to_json(provider_from_document(document()));
  EXPECT_EQ(core::to_text(listed).find("s3cret"), std::string::npos);
  EXPECT_EQ(to_json(provider_from_document(listed)), listed);
}

TEST(ProviderDocumentTest, EveryFieldThatIsWrongIsNamed) {
  EXPECT_EQ(refused("/name", "Redis 7"), Pointers{"/name"});
  EXPECT_EQ(refused("/schemaVersion", "1.0"), Pointers{"/schemaVersion"});
  EXPECT_EQ(refused("/version", "v2"), Pointers{"/version"});
  EXPECT_EQ(refused("/author", 7), Pointers{"/author"});
  EXPECT_EQ(refused("/configSchema", json::value{{"type", "object"}, {"unevaluatedItems", false}}),
            Pointers{"/configSchema/unevaluatedItems"});
  EXPECT_EQ(refused("/backups/secretsSchema", json::value{{"type", "thing"}}), Pointers{"/backups/secretsSchema/type"});
  EXPECT_EQ(refused("/capabilities/pointInTimeRecovery", "yes"), Pointers{"/capabilities/pointInTimeRecovery"});
  EXPECT_EQ(refused("/plans", json::array{}), Pointers{"/plans"});
  EXPECT_EQ(refused("/plans/0/id", -1), Pointers{"/plans/0/id"});
  EXPECT_EQ(refused("/plans/0/parameters/storage/pricedAs", "gold"), Pointers{"/plans/0/parameters/storage/pricedAs"});
  EXPECT_EQ(refused("/plans/0/parameters/storage/schema/type", "number"),
            Pointers{"/plans/0/parameters/storage/schema/type"});
  EXPECT_EQ(refused("/plans/0/parameters/storage/schema/default", 0),
            Pointers{"/plans/0/parameters/storage/schema/default"});
  EXPECT_EQ(refused("/plans/0/parameters/memory/schema", json::value{{"type", "integer"}, {"readOnly", true}}),
            Pointers{"/plans/0/parameters/memory/schema/default"});
  EXPECT_EQ(refused("/versions/latest", json::object{{"gitRef", "a"}, {"ciProfile", "b"}}),
            Pointers{"/versions/latest"});
  EXPECT_EQ(refused("/versions/7.2.1", json::object{{"gitRef", "a"}}), Pointers{"/versions/7.2.1/ciProfile"});
  EXPECT_EQ(refused("/backend/api/endpoint", "ftp://redis"), Pointers{"/backend/api/endpoint"});
  EXPECT_EQ(refused("/backend/api/endpoint", "http://redis/?id=1"), Pointers{"/backend/api/endpoint"});
  EXPECT_EQ(refused("/backend/api/secret", "a\r\nX: b"), Pointers{"/backend/api/secret"});
}

TEST(ProviderDocumentTest, PitrNeedsBackups) {
  auto changed = document();
  changed["capabilities"] = {{"pointInTimeRecovery", true}};
  EXPECT_EQ(refusal_of(changed).fields().at(0).pointer, "/capabilities/pointInTimeRecovery");
}

TEST(ProviderDocumentTest, TwoPlansMayNotShareAnId) {
  auto changed = document();
  auto& plans = changed["plans"].as_array();
  plans.push_back(plans[0]);
  EXPECT_EQ(refusal_of(changed).fields().at(0).pointer, "/plans/1/id");
}

TEST(ProviderDocumentTest, LandscapesAndRepositoriesAreRefusedWithTheReason) {
  auto landscape = document();
  landscape["backend"] = {{"landscape", {{"gitUrl", "https://git.example/x"}}}};
  EXPECT_EQ(refusal_of(landscape).code(), core::Code::kNotSupported);
  EXPECT_EQ(refusal_of(landscape).fields().at(0).pointer, "/backend/landscape");
  EXPECT_EQ(refusal_of({{"gitUrl", "https://git.example/x"}}).code(), core::Code::kNotSupported);
}

TEST(ProviderDocumentTest, AbsentVersionMeansTheFirst) {
  auto changed = document();
  changed.erase("schemaVersion");
  EXPECT_EQ(provider_from_document(changed).version, "v1");
  changed["version"] = "v0alpha";
  EXPECT_EQ(provider_from_document(changed).version, "v0alpha");
}

TEST(ProviderDocumentTest, AScopeIsGlobalOrNamesTeams) {
  EXPECT_EQ(scope_from_json({{"type", "global"}}), ProviderScope{});
  EXPECT_EQ(scope_from_json({{"type", "team"}, {"teamIds", json::array{3, 1, 3}}}), (ProviderScope{false, {1, 3}}));
  EXPECT_THROW(scope_from_json({{"type", "team"}}), core::Error);
  EXPECT_THROW(scope_from_json({{"type", "team"}, {"teamIds", json::array{"1"}}}), core::Error);
  EXPECT_THROW(scope_from_json({{"type", "everyone"}}), core::Error);
  EXPECT_THROW(scope_from_json({{"type", "global"}, {"teamIds", json::array{1}}}), core::Error);
}

TEST(ProviderDocumentTest, KnowsSemanticVersions) {
  for (const char* good : {"1.2.3", "0.0.0", "10.20.30-rc.1", "1.0.0+build.5"}) EXPECT_TRUE(is_semantic_version(good));
  for (const char* bad : {"", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-", "1.2.x", "1.2.3-a b"}) {
    EXPECT_FALSE(is_semantic_version(bad)) << bad;
  }
}

}  // namespace
}  // namespace backstay::model
