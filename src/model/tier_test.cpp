#include "model/tier.h"

#include <gtest/gtest.h>

#include "model/catalogue.h"

namespace backstay::model {
namespace {

Service service_of(std::int64_t plan, std::string offer = "postgres", std::string kind = "postgresql") {
  Service service;
  service.provider = {std::move(offer), "v1", std::move(kind)};
  service.plan.id = plan;
  return service;
}

TEST(TierTest, AreThoseOfTheDataFile) {
  ASSERT_EQ(tiers().size(), 9U);
  EXPECT_EQ(tiers().front().name, "free");
  EXPECT_EQ(tiers().front().most_per_team, 1);
  const auto* small = find_tier("small");
  ASSERT_NE(small, nullptr);
  EXPECT_EQ(small->storage_mib, 20 * 1024);
  EXPECT_EQ(small->backup_retention_days, 14);
  EXPECT_EQ(small->pitr_retention_days, 7);
  EXPECT_FALSE(small->most_per_team);
  EXPECT_EQ(find_tier("tiny"), nullptr);
}

TEST(TierTest, GrowInEverything) {
  for (std::size_t i = 1; i < tiers().size(); ++i) {
    const auto& less = tiers()[i - 1];
    const auto& more = tiers()[i];
    EXPECT_GE(more.cpu_tenths, less.cpu_tenths) << more.name;
    EXPECT_GT(more.memory_mib, less.memory_mib) << more.name;
    EXPECT_GT(more.storage_mib, less.storage_mib) << more.name;
    EXPECT_GT(more.connections, less.connections) << more.name;
    EXPECT_GE(more.backup_retention_days, less.backup_retention_days) << more.name;
    EXPECT_GE(more.pitr_retention_days, less.pitr_retention_days) << more.name;
    EXPECT_LE(more.pitr_retention_days, more.backup_retention_days) << more.name;
  }
}

TEST(TierTest, AServiceHasThatOfItsPlan) {
  EXPECT_EQ(tier_of(service_of(12)), find_tier("small"));
  EXPECT_EQ(tier_of(service_of(0)), nullptr);
  EXPECT_EQ(tier_of(service_of(12, "postgresql")), nullptr);
  EXPECT_EQ(tier_of(service_of(12, "postgres", "rest")), nullptr);
}

TEST(TierTest, ArePlansOfOneOfferOfWhichNothingCanBeChosen) {
  const Catalogue catalogue(postgresql_offers({{.major = "15", .full = "15.14"}}, {}));
  const auto& offer = catalogue.require("postgres", "v1");
  const auto plan = resolve_plan(offer, 10, {});
  EXPECT_TRUE(plan.parameters.empty());
  EXPECT_EQ(plan.resources,
            (std::map<std::string, std::int64_t>{{"cpu", 3}, {"memory", 256}, {"storage", 500}, {"connections", 6}}));
  EXPECT_THROW(resolve_plan(offer, 10, {{"storage", 501}}), core::Error);
  EXPECT_EQ(catalogue.require("postgresql", "15").find_plan(10), nullptr);
}

}  // namespace
}  // namespace backstay::model
