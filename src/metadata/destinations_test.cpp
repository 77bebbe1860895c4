#include "metadata/destinations.h"

#include <gtest/gtest.h>

#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

TEST(DestinationsTest, RememberTheFirstRepositoryThatWasFoundThere) {
  testing::TemporaryDatabase temporary;
  auto& database = temporary.database();
  const auto known = [&] { return database.read([](auto& tx) { return Destinations(tx).repository_id("d"); }); };
  database.write([](auto& tx) { Destinations(tx).insert({.id = "d", .url = "file:///a"}); });
  EXPECT_FALSE(known());

  database.write([](auto& tx) { Destinations(tx).remember_repository("d", "first"); });
  EXPECT_EQ(known(), "first");
  database.write([](auto& tx) { Destinations(tx).remember_repository("d", "second"); });
  EXPECT_EQ(known(), "first");

  database.write([](auto& tx) {
    auto changed = Destinations(tx).require("d");
    changed.region = "eu";
    Destinations(tx).update(changed);
  });
  EXPECT_EQ(known(), "first") << "other settings leave it alone";
}

}  // namespace
}  // namespace backstay::metadata
