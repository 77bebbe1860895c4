#include "os/priority.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace backstay::os {
namespace {

TEST(PriorityTest, IsOfTheThreadAndOfWhatItStarts) {
  int own = -1;
  int of_child = -1;
  std::jthread([&] {
    lower_priority();
    own = ::getpriority(PRIO_PROCESS, 0);
    std::jthread([&] { of_child = ::getpriority(PRIO_PROCESS, 0); }).join();
  }).join();
  EXPECT_EQ(own, 19);
  EXPECT_EQ(of_child, 19);
  EXPECT_LT(::getpriority(PRIO_PROCESS, 0), 19);
}

TEST(PriorityTest, MemoryIsWhatTheMachineHas) {
  EXPECT_GT(available_memory(), std::uint64_t{1} << 20);
  EXPECT_LT(available_memory(), std::uint64_t{1} << 50);
}

}  // namespace
}  // namespace backstay::os
