#include "backup/branch_check.h"

#include <gtest/gtest.h>

namespace backstay::backup {
namespace {

const std::string kSecond = "1\t0/5000000\tno recovery target specified\n";
const std::string kThird = kSecond + "2\t0/7000000\tno recovery target specified\n";

bool parted(const ArchivedBranch& archive, const ServerBranch& server) {
  return divergence(archive, server).has_value();
}

TEST(BranchCheckTest, FollowsTheServerOnItsTimeline) {
  EXPECT_FALSE(parted({}, {{1}, {0x5000000}}));
  EXPECT_FALSE(parted({{1}, {0x4000000}}, {{1}, {0x5000000}}));
  EXPECT_FALSE(parted({{1}, {0x5000000}}, {{1}, {0x5000000}}));
  EXPECT_FALSE(parted({{2}, {0x6000000}, kSecond}, {{2}, {0x6000100}, kSecond}));
}

TEST(BranchCheckTest, FollowsABranchThatLeftTheArchives) {
  EXPECT_FALSE(parted({{1}, {0x5000000}}, {{2}, {0x5000100}, kSecond}));
  // A standby that had not received everything was promoted: what it lacks stays a side branch.
  EXPECT_FALSE(parted({{1}, {0x6000000}}, {{2}, {0x5000100}, kSecond}));
  EXPECT_FALSE(parted({{1}, {0x5000000}}, {{3}, {0x8000000}, kThird}));
}

TEST(BranchCheckTest, SeesAnOlderCopy) {
  EXPECT_TRUE(parted({{1}, {0x5000001}}, {{1}, {0x5000000}}));
  EXPECT_TRUE(parted({{2}, {0x5000001}}, {{1}, {0x9000000}}));
}

TEST(BranchCheckTest, SeesAnotherBranchOfTheSameNumber) {
  const std::string other = "1\t0/5000100\tno recovery target specified\n";
  EXPECT_TRUE(parted({{2}, {0x6000000}, other}, {{2}, {0x7000000}, kSecond}));
  // The history is stored before any WAL of it.
  EXPECT_TRUE(parted({{1}, {0x5000000}, other}, {{2}, {0x7000000}, kSecond}));
}

TEST(BranchCheckTest, SeesABranchThatDoesNotDescend) {
  EXPECT_TRUE(parted({{2}, {0x6000000}}, {{3}, {0x8000000}, kSecond}));
}

}  // namespace
}  // namespace backstay::backup
