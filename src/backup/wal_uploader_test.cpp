#include "backup/wal_uploader.h"

#include "backup/wal_receiver.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/testing/test_cluster.h"
#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;
constexpr auto kDeadline = std::chrono::seconds(60);

postgres::Lsn start_of(postgres::SegmentNumber segment) { return postgres::segment_start(segment, kSize); }

class WalUploaderTest : public repository::testing::RepositoryFixture {
 protected:
  WalUploaderTest() : wal_(*repository_, kInstance, kSize) {}
  WalUploaderConfig config() {
    WalUploaderConfig config;
    config.spool_directory = directory_.path();
    config.first_retry = config.longest_retry = std::chrono::milliseconds(5);
    return config;
  }
  static repository::SegmentIndex index(std::uint32_t timeline, std::uint64_t segment) {
    repository::SegmentIndex index;
    index.timeline = timeline;
    index.segment = segment;
    return index;
  }

  core::SystemClock real_clock_;
  os::RealFileSystem files_;
  os::SystemProcessRunner processes_;
  Environment environment_{real_clock_, random_, files_, processes_};
  postgres::testing::TemporaryDirectory directory_;
  repository::WalStore wal_;
};

TEST_F(WalUploaderTest, NothingOfANewTimelineCountsBeforeWhatIsQueuedOfTheOld) {
  WalUploader uploader(environment_, wal_, config());
  store_->go_away();
  const core::Bytes bytes = content(kSize);
  uploader.begin({1}, start_of(5), start_of(5));
  uploader.append(bytes, [] { return index(1, 5); });
  uploader.append(core::ByteSpan(bytes).first(1000), [] { return index(1, 6); });
  uploader.end();
  // The new timeline begins with a copy of the segment in which it left the old one.
  uploader.begin({2}, start_of(6), start_of(6));
  EXPECT_EQ(uploader.stored(), start_of(5));
  uploader.append(core::ByteSpan(bytes).first(3000), [] { return index(2, 6); });
  EXPECT_EQ(uploader.stored(), start_of(5));
  EXPECT_EQ(uploader.received(), start_of(6) + 3000);
  store_->come_back();
  ASSERT_TRUE(uploader.wait_until_stored(start_of(6) + 3000, kDeadline, {}));
  EXPECT_EQ(wal_.read_segment(1, 5)->bytes, bytes);
  EXPECT_EQ(wal_.read_segment(1, 6)->bytes.size(), 1000U);
  EXPECT_EQ(wal_.read_segment(2, 6)->bytes.size(), 3000U);
}

TEST_F(WalUploaderTest, TakesNothingThatWasNotBegun) {
  WalUploader uploader(environment_, wal_, config());
  const core::Bytes bytes = content(1000);
  const auto append = [&] { uploader.append(bytes, [] { return index(1, 5); }); };
  EXPECT_EQ(code_of(append), core::Code::kInternal);
  uploader.begin({1}, start_of(5), start_of(5));
  append();
  uploader.end();
  EXPECT_EQ(code_of(append), core::Code::kInternal);
  EXPECT_EQ(uploader.received(), start_of(5) + 1000);
}

TEST(MaxSlotWalKeepTest, IsAPartOfHalfTheDiskButNeverLessThanFourSegments) {
  constexpr std::uint64_t kGiB = 1U << 30;
  constexpr std::uint64_t kSegment = 16U << 20;
  EXPECT_EQ(max_slot_wal_keep_mib(10 * kGiB, 2 * kGiB), 6U * 1024);
  EXPECT_EQ(max_slot_wal_keep_mib(0, 0), 512U);
  EXPECT_EQ(max_slot_wal_keep_mib(10 * kGiB, 2 * kGiB, kSegment, 3), 2U * 1024);
  EXPECT_EQ(max_slot_wal_keep_mib(10 * kGiB, 2 * kGiB, kSegment, 100), 512U);
  EXPECT_EQ(max_slot_wal_keep_mib(0, 0, kGiB), 4U * 1024);
}

}  // namespace
}  // namespace backstay::backup
