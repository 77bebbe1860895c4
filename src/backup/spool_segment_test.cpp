#include "backup/spool_segment.h"

#include <algorithm>
#include <optional>

#include <gtest/gtest.h>

#include "postgres/testing/test_cluster.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kSize = 1024 * 1024;

TEST(SpoolSegmentTest, ASecondOneOfTheSameNameLeavesTheFirstAlone) {
  const postgres::testing::TemporaryDirectory directory;
  const core::Bytes first(kSize, std::byte{1});
  const core::Bytes second(kSize, std::byte{2});
  std::optional<SpoolSegment> queued(std::in_place, directory.path(), postgres::SegmentName{{1}, 7}, kSize);
  queued->write(0, first);
  SpoolSegment filling(directory.path(), {{1}, 7}, kSize);
  filling.write(0, second);
  EXPECT_TRUE(std::ranges::equal(queued->bytes(0, kSize), first)) << "an upload still reads it";
  queued.reset();
  EXPECT_TRUE(std::ranges::equal(filling.bytes(0, kSize), second));
}

}  // namespace
}  // namespace backstay::backup
