#include "backup/wal_prefetcher.h"

#include "core/time.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/testing/test_cluster.h"
#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;
constexpr auto kDeadline = std::chrono::seconds(60);

class WalPrefetcherTest : public repository::testing::RepositoryFixture {
 protected:
  WalPrefetcherTest() {
    store(0);
    files_.make_directories(directory_.path() / "wal", 0700);
    config_.instance = kInstance;
    config_.directory = directory_.path();
    config_.timeline = {1};
    config_.from = {24};
    config_.to = {kSize / 2};
    config_.segment_size = kSize;
  }

  void store(postgres::SegmentNumber segment) {
    repository::WalStore wal(*repository_, kInstance, kSize);
    repository::SegmentIndex index;
    index.timeline = 1;
    index.segment = segment;
    wal.put_segment(core::Bytes(kSize), index, 1);
  }

  core::SystemClock time_;
  core::SystemRandom chance_;
  os::RealFileSystem files_;
  os::SystemProcessRunner processes_;
  Environment environment_{time_, chance_, files_, processes_};
  postgres::testing::TemporaryDirectory directory_;
  RecoveryWalServerConfig config_;
};

/// The server asks for the last segment again and again, each time by a helper that may take the file late.
TEST_F(WalPrefetcherTest, WhatIsSaidToBeReadyLiesThereHoweverSlowTheHelperIs) {
  WalPrefetcher prefetcher(environment_, *repository_, config_);
  const std::string name = "000000010000000000000000";
  const auto file = directory_.path() / "wal" / name;
  for (int round = 0; round < 25; ++round) {
    const auto answer = prefetcher.fetch(name, kDeadline, {});
    ASSERT_EQ(answer.kind, FetchAnswer::Kind::kReady) << answer.error;
    ASSERT_TRUE(files_.stat(file)) << "round " << round;
    time_.wait({}, std::chrono::milliseconds(2 * round));
    files_.remove(file);
  }
}

/// The first request is answered with the second segment laid down already, or the server would wait for each in turn.
TEST_F(WalPrefetcherTest, AFewLieThereBeforeTheServerAsks) {
  for (postgres::SegmentNumber segment = 1; segment < 6; ++segment) store(segment);
  config_.to = {6 * kSize};
  WalPrefetcher prefetcher(environment_, *repository_, config_);
  const auto lies = [&](int segment) {
    return files_.stat(directory_.path() / fmt::format("wal/00000001000000000000000{}", segment)).has_value();
  };
  const auto end = time_.steady_now() + kDeadline;
  while (!(lies(0) && lies(1) && lies(2) && lies(3)) && time_.steady_now() < end) {
    time_.wait({}, std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(lies(3));
  EXPECT_FALSE(lies(4)) << "the files of the backup are on their way";
  ASSERT_EQ(prefetcher.fetch("000000010000000000000000", kDeadline, {}).kind, FetchAnswer::Kind::kReady);
  ASSERT_EQ(prefetcher.fetch("000000010000000000000005", kDeadline, {}).kind, FetchAnswer::Kind::kReady);
}

TEST_F(WalPrefetcherTest, WhatThePlanEndsInIsReadOnce) {
  const std::uint64_t before = store_->calls();
  WalPrefetcher prefetcher(environment_, *repository_, config_);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(prefetcher.fetch("000000010000000000000000", kDeadline, {}).kind, FetchAnswer::Kind::kReady);
    files_.remove(directory_.path() / "wal/000000010000000000000000");
  }
  EXPECT_EQ(prefetcher.fetch("000000010000000000000001", kDeadline, {}).kind, FetchAnswer::Kind::kMissing);
  EXPECT_EQ(store_->calls() - before, 2U) << "one listing, and the segment";
}

}  // namespace
}  // namespace backstay::backup
