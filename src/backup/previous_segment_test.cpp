#include "backup/previous_segment.h"

#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

constexpr std::uint64_t kSegment = 1U << 20;
constexpr postgres::SegmentName kName{{1}, 6};

class PreviousSegmentTest : public repository::testing::RepositoryFixture {
 protected:
  void put(std::uint64_t epoch) { put(bytes_, epoch); }
  void put(const core::Bytes& bytes, std::uint64_t epoch) {
    repository::SegmentIndex index;
    index.timeline = 1;
    index.segment = kName.segment - 1;
    wal_.put_segment(bytes, index, epoch);
  }
  std::string copy() { return wal_.list(1)[0].complete[0]; }
  std::optional<core::Bytes> read() { return read_previous_segment(wal_, kName); }

  const core::Bytes bytes_ = content(kSegment);
  repository::WalStore wal_{*repository_, kInstance, kSegment};
};

TEST_F(PreviousSegmentTest, IsReadWhereItIsThere) {
  EXPECT_FALSE(read());
  put(1);
  EXPECT_EQ(read(), bytes_);
}

TEST_F(PreviousSegmentTest, DamageOfAnyKindIsPassedOver) {
  constexpr std::uint64_t kVersionAt = 8;
  for (const std::uint64_t offset : {kVersionAt, std::uint64_t{1000}}) {
    put(1);
    memory_->corrupt(copy(), offset);
    EXPECT_FALSE(read());
  }
}

TEST_F(PreviousSegmentTest, CopiesThatContradictEachOtherArePassedOver) {
  put(1);
  const std::string first = copy();
  const core::Bytes object = *memory_->get(first);
  memory_->remove(std::vector<std::string>{first});
  put(core::Bytes(kSegment), 2);
  memory_->put(first, object);
  EXPECT_FALSE(read());
}

TEST_F(PreviousSegmentTest, AStoreThatIsAwayIsAskedAgainLater) {
  put(1);
  store_->go_away();
  EXPECT_THROW(read(), core::Error);
}

}  // namespace
}  // namespace backstay::backup
