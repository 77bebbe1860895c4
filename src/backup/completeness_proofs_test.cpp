#include "backup/completeness_proofs.h"

#include <gtest/gtest.h>

namespace backstay::backup {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr postgres::TimelineId kTimeline{1};

class CompletenessProofsTest : public ::testing::Test {
 protected:
  /// The server answers `after` the begin that it has sent everything up to `end`.
  void answer(core::Duration after, std::uint64_t end, std::uint64_t received) {
    proofs_.note({.server_end = postgres::Lsn{end}, .server_time = begin_ + after}, kTimeline, postgres::Lsn{received});
  }

  const core::Timestamp begin_{std::chrono::hours(1)};
  CompletenessProofs proofs_;
};

TEST_F(CompletenessProofsTest, OneAnswerProvesNothing) {
  answer(seconds(0), 100, 100);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{100}));
}

TEST_F(CompletenessProofsTest, AnAnswerProvesTheTimeOfOneWellBefore) {
  answer(seconds(0), 100, 100);
  answer(milliseconds(999), 100, 100);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{100}));
  answer(seconds(1), 200, 200);
  const auto proven = proofs_.take(postgres::Lsn{200});
  ASSERT_TRUE(proven);
  EXPECT_EQ(proven->lsn, postgres::Lsn{200});
  EXPECT_EQ(proven->time, begin_);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{200}));
}

TEST_F(CompletenessProofsTest, WaitsUntilItsWalIsStored) {
  answer(seconds(0), 100, 100);
  answer(seconds(1), 100, 100);
  answer(seconds(2), 300, 300);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{99}));
  EXPECT_EQ(proofs_.take(postgres::Lsn{299})->time, begin_);
  EXPECT_EQ(proofs_.take(postgres::Lsn{300})->time, begin_ + seconds(1));
}

TEST_F(CompletenessProofsTest, AServerThatHasMoreToSendProvesNothing) {
  answer(seconds(0), 100, 100);
  proofs_.note_flushed(postgres::Lsn{200});
  answer(seconds(2), 150, 150);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{1000}));
}

TEST_F(CompletenessProofsTest, AnAnswerAheadOfWhatWasReceivedProvesNothing) {
  answer(seconds(0), 100, 100);
  answer(seconds(2), 150, 100);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{1000}));
}

TEST_F(CompletenessProofsTest, AClockThatWentBackBeginsAnew) {
  answer(seconds(10), 100, 100);
  answer(seconds(5), 100, 100);
  EXPECT_FALSE(proofs_.take(postgres::Lsn{100}));
  answer(seconds(6), 100, 100);
  EXPECT_EQ(proofs_.take(postgres::Lsn{100})->time, begin_ + seconds(5));
}

TEST_F(CompletenessProofsTest, NothingSaidBeforeCountsOnceForgotten) {
  answer(seconds(0), 100, 100);
  answer(seconds(1), 100, 100);
  proofs_.note_flushed(postgres::Lsn{900});
  proofs_.forget();
  EXPECT_FALSE(proofs_.take(postgres::Lsn{100}));
  EXPECT_EQ(proofs_.flushed(), postgres::Lsn{});
}

}  // namespace
}  // namespace backstay::backup
