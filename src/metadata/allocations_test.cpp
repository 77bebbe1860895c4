#include <gtest/gtest.h>

#include "metadata/instances.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

class AllocationsTest : public ::testing::Test {
 protected:
  std::int64_t next(const std::string& owner) {
    return temporary_.database().write(
        [&](auto& tx) { return Allocations(tx).allocate_in_turn("uid", "local", owner, 10, 13); });
  }
  void release(const std::string& owner) {
    temporary_.database().write([&](auto& tx) { Allocations(tx).release_all(owner); });
  }
  testing::TemporaryDatabase temporary_;
};

TEST_F(AllocationsTest, AFreedNumberComesAgainOnlyAfterAllOthers) {
  EXPECT_EQ(next("i1"), 10);
  EXPECT_EQ(next("i2"), 11);
  release("i2");
  release("i1");
  temporary_.reopen();
  EXPECT_EQ(next("i3"), 12);
  release("i3");
  EXPECT_EQ(next("i4"), 13);
  EXPECT_EQ(next("i5"), 10);
  EXPECT_EQ(next("i6"), 11);
}

TEST_F(AllocationsTest, LivingOnesArePassedOver) {
  EXPECT_EQ(next("i1"), 10);
  for (const auto* const owner : {"i2", "i3", "i4"}) {
    next(owner);
    release(owner);
  }
  EXPECT_EQ(next("i5"), 11) << "10 is still used";
}

}  // namespace
}  // namespace backstay::metadata
