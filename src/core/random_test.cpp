#include "core/random.h"

#include <set>

#include <gtest/gtest.h>

namespace backstay::core {
namespace {

TEST(RandomTest, UuidsHaveTheirFormAndDiffer) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string uuid = random.uuid();
    EXPECT_TRUE(is_uuid(uuid)) << uuid;
    EXPECT_EQ(uuid[14], '4');
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos) << uuid;
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(RandomTest, IsUuidRefusesOtherText) {
  EXPECT_FALSE(is_uuid(""));
  EXPECT_FALSE(is_uuid("0b8a3f0e-6a34-4d0c-9a60-5b2f1a7c3dZZ"));
  EXPECT_FALSE(is_uuid("0b8a3f0e+6a34-4d0c-9a60-5b2f1a7c3d00"));
}

TEST(RandomTest, BelowStaysBelow) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto value = random.below(3);
    ASSERT_LT(value, 3U);
    seen.insert(value);
  }
  EXPECT_EQ(seen.size(), 3U);
}

}  // namespace
}  // namespace backstay::core
