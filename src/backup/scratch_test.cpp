#include "backup/scratch.h"

#include <gtest/gtest.h>

#include "backup/testing/memory_fixture.h"

namespace backstay::backup {
namespace {

class ScratchTest : public testing::MemoryFixture {
 protected:
  ScratchTest() { files_.set_capacity(1000); }
  bool fits(std::uint64_t needed) {
    try {
      const ScratchDirectory directory(environment_, space_, needed, {});
      return true;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kDiskFull) << error.message();
      return false;
    }
  }

  ScratchSpace space_{.parent = "/scratch", .reserve = 100};
};

TEST_F(ScratchTest, WhatOthersStillNeedIsNotGivenAgain) {
  EXPECT_TRUE(fits(900));
  EXPECT_FALSE(fits(901)) << "the reserve stays free";
  ScratchDirectory first(environment_, space_, 600, {});
  EXPECT_FALSE(fits(301));
  EXPECT_TRUE(fits(300));
  first.check_room(250);
  EXPECT_TRUE(fits(550)) << "what was written is seen on the disk";
  EXPECT_FALSE(fits(551));
  first.check_room(700);
  EXPECT_TRUE(fits(900)) << "more than was thought";
}

TEST_F(ScratchTest, WhatADirectoryNeededIsFreeWhenItIsGone) {
  {
    const ScratchDirectory first(environment_, space_, 600, {});
    EXPECT_FALSE(fits(301));
  }
  EXPECT_TRUE(fits(900));
}

}  // namespace
}  // namespace backstay::backup
