#include "metadata/providers.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

PublishedProvider redis() {
  return {.name = "redis",
          .version = "v1",
          .document = {{"name", "redis"}},
          .secret = core::Secret("s3cret"),
          .scope = {.global = false, .team_ids = {1, 2}},
          .created_at = core::parse_time("2026-01-02T03:04:05Z")};
}

TEST(ProvidersTest, KeepsWhatWasPublished) {
  testing::TemporaryDatabase temporary;
  auto& database = temporary.database();
  database.write([](auto& tx) { Providers(tx).insert(redis()); });
  const auto found = database.read([](auto& tx) { return Providers(tx).find("redis", "v1"); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->document, redis().document);
  EXPECT_EQ(found->secret.reveal(), "s3cret");
  EXPECT_EQ(found->scope, redis().scope);
  EXPECT_EQ(found->created_at, redis().created_at);
  EXPECT_FALSE(database.read([](auto& tx) { return Providers(tx).find("redis", "v2"); }));
}

TEST(ProvidersTest, TheSecretIsSealed) {
  testing::TemporaryDatabase temporary;
  auto& database = temporary.database();
  database.write([](auto& tx) { Providers(tx).insert(redis()); });
  const auto stored = database.read([](auto& tx) {
    return Query(tx, "SELECT sealed_secret FROM providers").template first<std::string>([](const Row& row) {
      return row.text("sealed_secret");
    });
  });
  ASSERT_TRUE(stored);
  EXPECT_FALSE(stored->empty());
  EXPECT_EQ(stored->find("s3cret"), std::string::npos);
}

TEST(ProvidersTest, EveryChangeRaisesTheRevision) {
  testing::TemporaryDatabase temporary;
  auto& database = temporary.database();
  const auto revision = [&] { return database.read([](auto& tx) { return Providers(tx).revision(); }); };
  EXPECT_EQ(revision(), 0);
  database.write([](auto& tx) { Providers(tx).insert(redis()); });
  EXPECT_EQ(revision(), 1);
  database.write([](auto& tx) {
    auto changed = redis();
    changed.scope = {};
    changed.secret = {};
    Providers(tx).update(changed);
  });
  EXPECT_EQ(revision(), 2);
  EXPECT_TRUE(database.read([](auto& tx) { return Providers(tx).list(); }).at(0).scope.global);
  EXPECT_TRUE(database.write([](auto& tx) { return Providers(tx).remove("redis", "v1"); }));
  EXPECT_EQ(revision(), 3);
  EXPECT_FALSE(database.write([](auto& tx) { return Providers(tx).remove("redis", "v1"); }));
  EXPECT_EQ(revision(), 3);
}

TEST(ProvidersTest, AnExistingOneIsNotMadeAgain) {
  testing::TemporaryDatabase temporary;
  auto& database = temporary.database();
  database.write([](auto& tx) { Providers(tx).insert(redis()); });
  EXPECT_THROW(database.write([](auto& tx) { Providers(tx).insert(redis()); }), core::Error);
  EXPECT_THROW(database.write([](auto& tx) {
    auto other = redis();
    other.version = "v9";
    Providers(tx).update(other);
  }),
               core::Error);
}

}  // namespace
}  // namespace backstay::metadata
