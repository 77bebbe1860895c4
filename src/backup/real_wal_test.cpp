// Segment indexes and their questions on the WAL of a real server.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "backup/recovery_window.h"
#include "backup/segment_indexer.h"
#include "os/file_system.h"
#include "postgres/testing/test_cluster.h"
#include "repository/testing/fixture.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;

struct Commit {
  postgres::Lsn start;
  postgres::Lsn end;
  core::Timestamp time;
};

/// Four small segments full of commits, so that some record begins in one segment and ends in the next.
class RealWalTest : public repository::testing::RepositoryFixture {
 protected:
  static void SetUpTestSuite() {
    const postgres::testing::TestCluster cluster({.extra_config = "wal_keep_size = 64MB\n", .segment_size = kSize});
    cluster.query("SELECT pg_switch_wal()");
    const auto at = postgres::parse_lsn(cluster.query("SELECT pg_current_wal_lsn()").text(0, 0));
    first() = postgres::segment_of(at, kSize) + 1;
    cluster.connect().execute("DO $$ BEGIN FOR i IN 1..150000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$",
                              std::chrono::minutes(5));
    os::RealFileSystem files;
    for (postgres::SegmentNumber n = first(); n < first() + 4; ++n) {
      segments().push_back(files.read_file(cluster.paths().data() / "pg_wal" / postgres::segment_name({1}, n, kSize)));
    }
    postgres::WalParser parser(kSize, [](const postgres::WalRecord& record) {
      const auto event = postgres::decode_event(record);
      const auto* end = event ? std::get_if<postgres::TransactionEnd>(&*event) : nullptr;
      if (end != nullptr) commits().push_back({end->start, end->end, end->time});
    });
    for (std::size_t i = 0; i < 4; ++i) parser.feed(start_of(first() + i), segments()[i]);
  }
  static void TearDownTestSuite() {
    segments().clear();
    commits().clear();
  }

  static postgres::Lsn start_of(postgres::SegmentNumber segment) { return postgres::segment_start(segment, kSize); }
  /// Index in commits() of one that begins before the end of a segment and ends behind it.
  static std::size_t straddler() {
    for (std::size_t i = 1; i + 1 < commits().size(); ++i) {
      const auto& commit = commits()[i];
      const auto begins = postgres::segment_of(commit.start, kSize);
      if (begins > first() && begins != postgres::segment_of({commit.end.value - 1}, kSize) &&
          commits()[i - 1].time < commit.time && commit.time < commits()[i + 1].time) {
        return i;
      }
    }
    throw core::Error(core::Code::kInternal, "no commit lies across two segments");
  }
  /// Segments of timeline 1 up to the switch, and of timeline 2 from the segment of the switch on.
  void archive(postgres::Lsn left) {
    repository::WalStore wal(*repository_, kInstance, kSize);
    wal.put_history(2,
                    core::as_bytes(fmt::format("1\t{}\tno recovery target specified\n", postgres::format_lsn(left))));
    SegmentIndexer indexer(kSize);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto number = first() + i;
      const bool branch = number >= postgres::segment_of(left, kSize);
      wal.put_segment(segments()[i], indexer.feed({branch ? 2U : 1U}, start_of(number), segments()[i]), 1);
    }
    repository::BackupRecord record;
    record.backup = random_.uuid();
    record.instance = kInstance;
    record.wal_segment_size = kSize;
    record.timeline = 1;
    record.start_lsn = start_of(first()).value + 40;
    record.stop_lsn = commits().front().end.value;
    record.start_time = record.stop_time = commits().front().time;
    repository_->put_backup(record);
  }

  static postgres::SegmentNumber& first() {
    static postgres::SegmentNumber number = 0;
    return number;
  }
  static std::vector<core::Bytes>& segments() {
    static std::vector<core::Bytes> all;
    return all;
  }
  static std::vector<Commit>& commits() {
    static std::vector<Commit> all;
    return all;
  }
};

TEST_F(RealWalTest, CommitThatBeginsOnTheAncestorIsFoundOnTheBranch) {
  const auto at = straddler();
  const Commit commit = commits()[at];
  archive(commit.end + 8);
  const auto plan =
      WalArchive(*repository_, kInstance).plan(ToTime{commits()[at - 1].time}, commits().back().time, std::nullopt);
  EXPECT_EQ(plan.stop.lsn, commit.start);
  EXPECT_EQ(plan.timeline.value, 2U);
}

TEST_F(RealWalTest, IndexOfWhatCouldNotBeReadIsIncomplete) {
  SegmentIndexer whole(kSize);
  SegmentIndexer indexer(kSize);
  whole.feed({1}, start_of(first()), segments()[0]);
  indexer.feed({1}, start_of(first()), segments()[0]);
  const auto good = whole.feed({1}, start_of(first() + 1), segments()[1]);
  EXPECT_FALSE(good.incomplete);
  core::Bytes damaged = segments()[1];
  damaged[kSize / 2] ^= std::byte{1};
  const auto index = indexer.feed({1}, start_of(first() + 1), damaged);
  EXPECT_TRUE(index.incomplete);
  EXPECT_LT(index.commits, good.commits);
}

TEST_F(RealWalTest, IndexOfARecordWhoseBeginningIsMissingIsIncomplete) {
  const auto number = postgres::segment_of(commits()[straddler()].start, kSize) + 1;
  const auto i = static_cast<std::size_t>(number - first());
  SegmentIndexer indexer(kSize);
  EXPECT_TRUE(indexer.feed({1}, start_of(number), segments()[i]).incomplete);
  SegmentIndexer primed(kSize);
  primed.feed({1}, start_of(number - 1), segments()[i - 1]);
  EXPECT_FALSE(primed.feed({1}, start_of(number), segments()[i]).incomplete);
}

TEST_F(RealWalTest, CommitsAroundAnUnreadablePageAreFound) {
  const auto middle =
      std::ranges::find_if(commits(), [](const Commit& c) { return c.start > start_of(first() + 1) + kSize / 2; });
  core::Bytes& damaged = segments()[1];
  const core::Bytes original = damaged;
  damaged[kSize / 2] ^= std::byte{1};
  archive(start_of(first() + 4));
  damaged = original;
  WalArchive archive(*repository_, kInstance);
  const auto now = commits().back().time;
  const auto well_before = std::prev(middle, 2000);
  EXPECT_EQ(archive.plan(ToTime{well_before->time}, now).stop.lsn, std::next(well_before)->start);
  const auto well_after = std::next(middle, 2000);
  EXPECT_EQ(archive.plan(ToTime{well_after->time}, now).stop.lsn, std::next(well_after)->start);
  EXPECT_EQ(code_of([&] { archive.plan(ToTime{middle->time}, now); }), core::Code::kRecoveryOutOfReach);
}

}  // namespace
}  // namespace backstay::backup
