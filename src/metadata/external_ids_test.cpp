#include "metadata/external_ids.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

ExternalId external(const std::string& kind, std::int64_t team, const std::string& id, const std::string& object) {
  return {.kind = kind, .team_id = team, .external_id = id, .object_id = object, .caller_team_id = 9, .created_at = {}};
}

TEST(ExternalIdsTest, AreUniqueForKindAndTeam) {
  testing::TemporaryDatabase temporary;
  auto& database = temporary.database();
  database.write([](auto& tx) {
    ExternalIds ids(tx);
    ids.insert(external("service", 1, "a", "s1"));
    ids.insert(external("service", 2, "a", "s2"));
    ids.insert(external("backup", 1, "a", "b1"));
  });
  database.read([](auto& tx) {
    EXPECT_EQ(ExternalIds(tx).find("service", 2, "a")->object_id, "s2");
    EXPECT_EQ(ExternalIds(tx).find("service", 2, "a")->caller_team_id, 9);
    EXPECT_FALSE(ExternalIds(tx).find("service", 3, "a"));
    EXPECT_EQ(ExternalIds(tx).list("service", 1).size(), 1u);
  });
  EXPECT_THROW(database.write([](auto& tx) { ExternalIds(tx).insert(external("backup", 1, "a", "b2")); }), core::Error);
  database.write([](auto& tx) { ExternalIds(tx).remove("backup", 1, "a"); });
  EXPECT_FALSE(database.read([](auto& tx) { return ExternalIds(tx).find("backup", 1, "a"); }));
  EXPECT_TRUE(database.read([](auto& tx) { return ExternalIds(tx).find("service", 1, "a"); }));
}

}  // namespace
}  // namespace backstay::metadata
