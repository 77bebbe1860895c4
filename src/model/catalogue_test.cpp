#include "model/catalogue.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace backstay::model {
namespace {

namespace json = core::json;

const std::vector<EngineVersion> kInstalled{{.major = "15", .full = "15.14"}, {.major = "9", .full = "9.6"}};

json::object settings() {
  return core::parse_json(R"({"max_connections":{"type":["string","integer"],"pattern":"^[0-9]+$","minimum":1}})")
      .as_object();
}

Catalogue catalogue() { return Catalogue(postgresql_offers(kInstalled, settings())); }

json::object object(std::string_view text) { return core::parse_json(text).as_object(); }

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    std::string text;
    for (const auto& field : error.fields()) text += field.pointer + ": " + field.message + "\n";
    return text;
  }
  return "accepted";
}

TEST(CatalogueTest, OffersWhatIsInstalled) {
  const auto all = catalogue();
  ASSERT_EQ(all.all().size(), 3U);
  EXPECT_NE(all.find("postgres", "v1"), nullptr);
  EXPECT_EQ(all.require("postgresql", "").version, "15");
  EXPECT_EQ(all.require("postgresql", "9").engine_version, "9");
  EXPECT_EQ(all.find("postgresql", "17"), nullptr);
  EXPECT_TRUE(postgresql_offers({}, settings()).empty());
  try {
    static_cast<void>(all.require("redis", "7"));
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kUnknownProvider);
    EXPECT_NE(error.message().find("'postgresql' version '15'"), std::string::npos);
  }
}

TEST(CatalogueTest, EverySchemaCompiles) {
  const auto all = catalogue();
  for (const auto& provider : all.all()) {
    for (const auto& schema : {provider.config_schema, provider.secrets_schema, provider.details_schema,
                               provider.backups_config_schema, provider.backups_secrets_schema}) {
      EXPECT_NO_THROW(JsonSchema::compile(schema)) << provider.name;
    }
    for (const auto& plan : provider.plans) {
      EXPECT_NO_THROW(resolve_plan(provider, plan.id, {})) << plan.name;
      for (const auto& parameter : plan.parameters) EXPECT_NO_THROW(JsonSchema::compile(parameter.schema));
    }
  }
}

TEST(CatalogueTest, AcceptsTheDocumentedBodies) {
  const auto all = catalogue();
  const auto& provider = all.require("postgresql", "15");
  const auto config = object(R"({"max_connections":"100"})");
  const auto secrets = secrets_from_json(object(R"({"password":"secure-password","username":"admin"})"));
  check_config(provider, config);
  check_secrets(provider, secrets);
  check_backup_store(provider, object(R"({"endpointUrl":"https://s3.eu-central-1.amazonaws.com",
                                          "destinationPath":"s3://my-codesphere-backups/"})"),
                     secrets_from_json(object(R"({"accessKey":"YOUR_S3_ACCESS_KEY",
                                                  "secretKey":"YOUR_S3_SECRET_KEY"})")));
  const auto plan = resolve_plan(provider, 1, object(R"({"storage":10})"));
  EXPECT_EQ(plan.parameters, (std::map<std::string, std::int64_t>{{"storage", 10}}));
  EXPECT_EQ(plan.resources, (std::map<std::string, std::int64_t>{
                                {"cpu", 10}, {"memory", 1024}, {"storage", 10240}, {"connections", 100}}));
  const auto wishes = postgres_wishes(provider, config, secrets);
  EXPECT_EQ(wishes.user, "admin");
  EXPECT_EQ(wishes.database, "app");
  EXPECT_EQ(wishes.user_password.reveal(), "secure-password");
  EXPECT_TRUE(wishes.superuser_password.empty());
  EXPECT_EQ(wishes.settings, config);
  EXPECT_EQ(engine_major(provider, config, kInstalled), "15");
}

TEST(CatalogueTest, RefusesWithAPointerForEachField) {
  const auto all = catalogue();
  const auto& provider = all.require("postgres", "v1");
  EXPECT_EQ(
      refusal([&] { check_config(provider, object(R"({"userName":"postgres","fsync":"off","version":"17.9"})")); }),
      "/config/userName: must match the pattern "
      "^(?!(postgres|public|none)$)(?!pg_)(?!backstay)[a-zA-Z_][a-zA-Z0-9_.$-]{0,62}$\n"
      "/config/fsync: is not a known property\n"
      "/config/version: must match the pattern ^(9|15)(\\.[0-9]{1,2})?$\n");
  EXPECT_EQ(refusal([&] { check_secrets(provider, {}); }), "/secrets/userPassword: is required\n");
  EXPECT_EQ(refusal([&] { resolve_plan(provider, 7, {}); }),
            "/plan/id: must be one of 0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18\n");
  EXPECT_EQ(refusal([&] { resolve_plan(provider, 0, object(R"({"storage":1,"cpu":20,"disks":1})")); }),
            "/plan/parameters/disks: is not a parameter of plan 0\n"
            "/plan/parameters/cpu: is fixed by the plan at 5\n"
            "/plan/parameters/storage: must be at least 512\n");
  EXPECT_EQ(refusal([&] {
              check_config_update(provider, object(R"({"version":"15.14"})"),
                                  object(R"({"version":"15.14","userName":"other"})"));
            }),
            "/config/userName: cannot be changed\n");
}

TEST(CatalogueTest, APlanChangeKeepsWhatItDoesNotName) {
  const auto all = catalogue();
  const auto& provider = all.require("postgres", "v1");
  const auto before = resolve_plan(provider, 0, object(R"({"storage":20480})"));
  EXPECT_EQ(resolve_plan(provider, 1, {}, &before).parameters.at("storage"), 20480);
  EXPECT_EQ(resolve_plan(provider, 1, object(R"({"storage":4096})"), &before).parameters.at("storage"), 4096);
  EXPECT_EQ(refusal([&] { resolve_plan(provider, 0, object(R"({"storage":4096})"), &before); }),
            "/plan/parameters/storage: can only be increased from 20480\n");
  EXPECT_EQ(resolve_plan(provider, 0, object(R"({"cpu":5})"), &before), before);
}

TEST(CatalogueTest, TheVersionOfAServiceMustBeInstalled) {
  const auto all = catalogue();
  const auto& provider = all.require("postgres", "v1");
  EXPECT_EQ(engine_major(provider, object(R"({"version":"9.6"})"), kInstalled), "9");
  EXPECT_EQ(engine_major(provider, {}, kInstalled), "15");
  EXPECT_THROW(engine_major(provider, object(R"({"version":"17.9"})"), kInstalled), core::Error);
}

TEST(CatalogueTest, TwoUserNamesMustAgree) {
  const auto all = catalogue();
  const auto& provider = all.require("postgresql", "15");
  const auto secrets = secrets_from_json(object(R"({"password":"p","username":"admin"})"));
  EXPECT_EQ(refusal([&] { postgres_wishes(provider, object(R"({"userName":"other"})"), secrets); }),
            "/config/userName: differs from secrets.username\n");
  EXPECT_EQ(postgres_wishes(provider, object(R"({"userName":"admin"})"), secrets).user, "admin");
}

TEST(CatalogueTest, RendersTheHouseForm) {
  const auto all = catalogue();
  const auto rendered = to_json(all.require("postgresql", "15"));
  for (const char* key : {"name", "version", "schemaVersion", "author", "category", "description", "displayName",
                          "iconUrl", "configSchema", "detailsSchema", "secretsSchema", "plans", "capabilities"}) {
    EXPECT_TRUE(rendered.contains(key)) << key;
  }
  const auto& storage = rendered.at("plans").at(0).at("parameters").at("storage");
  EXPECT_EQ(storage.at("schema").at("default"), 10);
  EXPECT_EQ(storage.at("schema").at("minimum"), 1);
  EXPECT_EQ(rendered.at("plans").at(1).at("parameters").at("cpu").at("pricedAs"), "cpu-tenths");
}

}  // namespace
}  // namespace backstay::model
