#include "control/membership.h"

#include <gtest/gtest.h>

#include "core/testing/manual_clock.h"
#include "metadata/servers.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::control {
namespace {

using std::chrono::seconds;

class MembershipTest : public ::testing::Test {
 protected:
  Membership server(const std::string& id, bool shared = true) {
    return {temporary_.database(), clock_, {.server_id = id, .shared = shared}};
  }
  std::vector<std::int64_t> members() {
    std::vector<std::int64_t> epochs;
    for (const auto& server : temporary_.database().read([](auto& tx) { return metadata::Servers(tx).list(); })) {
      epochs.push_back(server.epoch);
    }
    return epochs;
  }
  void pass(seconds time) { clock_.advance(time); }

  metadata::testing::TemporaryDatabase temporary_;
  core::testing::ManualClock clock_;
};

TEST_F(MembershipTest, AServerThatBeatsKeepsItsLease) {
  auto first = server("a");
  auto second = server("b");
  const auto one = first.join();
  const auto two = second.join();
  for (int i = 0; i < 30; ++i) {
    pass(seconds(1));
    first.beat();
    second.beat();
  }
  EXPECT_TRUE(first.is_valid());
  EXPECT_TRUE(second.is_valid());
  EXPECT_EQ(members(), (std::vector<std::int64_t>{one, two}));
}

TEST_F(MembershipTest, AServerThatStandsStillStopsBeforeOthersTakeOver) {
  auto frozen = server("a");
  auto other = server("b");
  const auto one = frozen.join();
  const auto two = other.join();
  other.beat();
  for (int second = 1; second <= 12; ++second) {
    pass(seconds(1));
    other.beat();
    const bool retired = members() == std::vector<std::int64_t>{two};
    EXPECT_FALSE(retired && frozen.is_valid()) << "both drive, after " << second << " s";
    EXPECT_EQ(retired, second >= 10) << second;
  }
  frozen.beat();
  EXPECT_FALSE(frozen.is_valid()) << "its beat finds it retired";
  EXPECT_GT(frozen.join(), two);
  EXPECT_TRUE(frozen.is_valid());
  EXPECT_LT(one, two);
}

TEST_F(MembershipTest, AServerThatComesLateWaitsAWholeLease) {
  server("killed").join();
  pass(seconds(3600));
  auto late = server("b");
  late.join();
  late.beat();
  EXPECT_EQ(members().size(), 2U) << "it has not seen the other one stand still yet";
  pass(seconds(10));
  late.beat();
  EXPECT_EQ(members().size(), 1U);
}

TEST_F(MembershipTest, TheSameServerTakesItsOwnBackAtOnce) {
  const auto before = server("a").join();
  const auto again = server("a").join();
  EXPECT_GT(again, before);
  EXPECT_EQ(members(), std::vector<std::int64_t>{again});
}

TEST_F(MembershipTest, WithoutSharingNobodyElseIsThere) {
  server("copied from elsewhere").join();
  auto alone = server("a", false);
  const auto epoch = alone.join();
  EXPECT_EQ(members(), std::vector<std::int64_t>{epoch});
  pass(seconds(3600));
  alone.beat();
  EXPECT_TRUE(alone.is_valid());
  alone.leave();
  EXPECT_FALSE(alone.is_valid());
  EXPECT_TRUE(members().empty());
}

}  // namespace
}  // namespace backstay::control
