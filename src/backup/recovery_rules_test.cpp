#include "backup/recovery_rules.h"

#include <set>

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kSize = postgres::kDefaultSegmentSize;

core::Timestamp at(int second) { return core::parse_time("2026-05-01T12:00:00Z") + std::chrono::seconds(second); }
postgres::Lsn lsn(std::uint64_t segment, std::uint64_t offset) { return {segment * kSize + offset}; }

/// An archive built commit by commit.
class ArchiveBuilder {
 public:
  ArchiveBuilder() { state.instance = "instance"; }

  ArchiveBuilder& segment(std::uint64_t number, std::uint64_t filled = kSize, std::uint32_t timeline = 1) {
    ArchivedSegment segment{.name = {{timeline}, number}, .contiguous = filled, .index = {}};
    segment.index.timeline = timeline;
    segment.index.segment = number;
    state.segments[{timeline}].push_back(segment);
    return *this;
  }
  /// In the last segment of the timeline that was begun.
  ArchiveBuilder& commit(std::uint64_t offset, core::Timestamp time, std::uint32_t timeline = 1) {
    ArchivedSegment& segment = state.segments[{timeline}].back();
    const postgres::Lsn start = lsn(segment.name.segment, offset);
    commits.push_back({start, start + 40, time});
    repository::SegmentIndex one;
    one.timeline = timeline;
    one.segment = segment.name.segment;
    one.commits = 1;
    one.first_commit_time = one.last_commit_time = one.min_commit_time = one.max_commit_time = time;
    one.first_commit_lsn = one.last_commit_lsn = one.last_record_lsn = start.value;
    one.last_record_end = start.value + 40;
    segment.index.merge(one);
    return *this;
  }
  ArchiveBuilder& backup(const std::string& id, postgres::Lsn start, postgres::Lsn stop, core::Timestamp stop_time,
                         std::uint32_t timeline = 1) {
    repository::BackupRecord record;
    record.backup = id;
    record.timeline = timeline;
    record.start_lsn = start.value;
    record.stop_lsn = stop.value;
    record.stop_time = stop_time;
    state.backups.push_back(record);
    return *this;
  }
  ArchiveBuilder& complete_until(core::Timestamp time, postgres::Lsn where, std::uint32_t timeline = 1) {
    state.ends.push_back({{timeline}, where, time});
    return *this;
  }

  [[nodiscard]] RecoveryRules rules() const {
    return {state, [this](const ArchivedSegment& segment, postgres::Lsn from, core::Timestamp time) {
              SegmentAnswer answer;
              for (const CommitRecord& commit : commits) {
                if (postgres::segment_of(commit.start, kSize) != segment.name.segment) continue;
                answer.last_record = commit.start;
                if (answer.commit) continue;
                if (commit.start < from) {
                  answer.earlier = std::max(answer.earlier.value_or(commit.time), commit.time);
                  continue;
                }
                if (commit.time > time) {
                  answer.commit = commit;
                } else {
                  answer.before = commit.time;
                }
              }
              answer.unclear = !answer.commit && unreadable.contains(segment.name.segment);
              return answer;
            }};
  }
  [[nodiscard]] RecoveryPlan plan(const RecoveryTarget& target) const { return rules().plan(target, at(1000)); }
  [[nodiscard]] std::string refusal(const RecoveryTarget& target) const {
    try {
      (void)plan(target);
    } catch (const core::Error& e) {
      EXPECT_EQ(e.code(), core::Code::kRecoveryOutOfReach);
      return e.what();
    }
    return "";
  }

  ArchiveState state;
  std::vector<CommitRecord> commits;
  /// Segments that have a part behind their last commit that cannot be read.
  std::set<postgres::SegmentNumber> unreadable;
};

/// One backup in segment 2, commits at 10 s to 40 s in segments 3 and 4.
ArchiveBuilder simple() {
  ArchiveBuilder archive;
  archive.segment(2).backup("b1", lsn(2, 100), lsn(2, 5000), at(5));
  archive.segment(3).commit(100, at(10)).commit(200, at(20));
  archive.segment(4, 9000).commit(100, at(30)).commit(8000, at(40));
  return archive;
}

TEST(RecoveryRulesTest, WindowBeginsWithTheFirstBackupAndEndsWithTheLastCommit) {
  const RecoveryWindow window = simple().rules().window();
  EXPECT_EQ(window.earliest, at(5));
  EXPECT_EQ(window.latest, at(40));
  EXPECT_TRUE(window.gaps.empty());
}

TEST(RecoveryRulesTest, WindowIsClosedWithoutABackup) {
  ArchiveBuilder archive;
  archive.segment(3).commit(100, at(10));
  EXPECT_FALSE(archive.rules().window().earliest);
  EXPECT_NE(archive.refusal(ToTime{at(10)}).find("no backup"), std::string::npos);
  EXPECT_NE(archive.refusal(ToLatest{}).find("no backup"), std::string::npos);
}

TEST(RecoveryRulesTest, TimeBetweenCommitsStopsBeforeTheNext) {
  const RecoveryPlan plan = simple().plan(ToTime{at(25)});
  EXPECT_EQ(plan.stop.lsn, lsn(4, 100));
  EXPECT_FALSE(plan.stop.inclusive);
  EXPECT_FALSE(plan.stop.immediate);
  EXPECT_EQ(plan.base.backup, "b1");
  EXPECT_EQ(plan.last_commit, at(20));
  EXPECT_EQ(plan.wal_from, lsn(2, 0));
  EXPECT_EQ(plan.wal_to, lsn(5, 0));
}

TEST(RecoveryRulesTest, CommitAtExactlyTheTimeIsIncluded) {
  EXPECT_EQ(simple().plan(ToTime{at(20)}).stop.lsn, lsn(4, 100));
  EXPECT_EQ(simple().plan(ToTime{at(20) - core::Duration(1)}).stop.lsn, lsn(3, 200));
}

TEST(RecoveryRulesTest, TimeBeforeAnyCommitStopsBeforeTheFirst) {
  EXPECT_EQ(simple().plan(ToTime{at(6)}).stop.lsn, lsn(3, 100));
}

TEST(RecoveryRulesTest, TimeAfterTheLastCommitNeedsAProof) {
  EXPECT_NE(simple().refusal(ToTime{at(41)}).find(core::format_time(at(40))), std::string::npos);
  const RecoveryPlan plan = simple().complete_until(at(60), lsn(4, 9000)).plan(ToTime{at(50)});
  EXPECT_EQ(plan.stop.lsn, lsn(4, 8000));
  EXPECT_TRUE(plan.stop.inclusive);
  EXPECT_EQ(plan.last_commit, at(40));
}

TEST(RecoveryRulesTest, ProofBeyondWhatIsStoredCountsForNothing) {
  EXPECT_EQ(simple().complete_until(at(60), lsn(4, 9001)).rules().window().latest, at(40));
}

TEST(RecoveryRulesTest, FutureAndPastAreRefusedWithTheNearestTime) {
  EXPECT_NE(simple().refusal(ToTime{at(1001)}).find("future"), std::string::npos);
  EXPECT_NE(simple().refusal(ToTime{at(1001)}).find(core::format_time(at(40))), std::string::npos);
  EXPECT_NE(simple().refusal(ToTime{at(4)}).find(core::format_time(at(5))), std::string::npos);
}

TEST(RecoveryRulesTest, NewestBackupThatStopsBeforeTheTargetIsTheBase) {
  auto archive = simple();
  archive.backup("b2", lsn(3, 120), lsn(3, 150), at(12));
  EXPECT_EQ(archive.plan(ToTime{at(6)}).base.backup, "b1");
  EXPECT_EQ(archive.plan(ToTime{at(12)}).base.backup, "b2");
  EXPECT_EQ(archive.plan(ToLatest{}).base.backup, "b2");
}

TEST(RecoveryRulesTest, ClockThatJumpedBackStopsAtTheFirstLaterStampInLsnOrder) {
  ArchiveBuilder archive;
  archive.segment(2).backup("b1", lsn(2, 100), lsn(2, 5000), at(5));
  archive.segment(3).commit(100, at(100)).commit(200, at(20)).commit(300, at(30));
  EXPECT_EQ(archive.plan(ToTime{at(25)}).stop.lsn, lsn(3, 100));
}

TEST(RecoveryRulesTest, LatestWithoutLaterWalIsTheBackupItself) {
  ArchiveBuilder archive;
  archive.segment(2).backup("b1", lsn(2, 100), lsn(2, 5000), at(5));
  const RecoveryPlan plan = archive.plan(ToLatest{});
  EXPECT_TRUE(plan.stop.immediate);
  EXPECT_EQ(plan.base.backup, "b1");
}

TEST(RecoveryRulesTest, BackupIsReachedAsSoonAsItIsConsistent) {
  const RecoveryPlan plan = simple().plan(ToBackup{"b1"});
  EXPECT_TRUE(plan.stop.immediate);
  EXPECT_EQ(plan.wal_from, lsn(2, 0));
  EXPECT_EQ(plan.wal_to, lsn(3, 0));
  EXPECT_NE(simple().refusal(ToBackup{"b9"}).find("'b9'"), std::string::npos);
}

TEST(RecoveryRulesTest, NothingRestsOnABackupThatCannotBeRestored) {
  ArchiveBuilder archive = simple();
  archive.state.backups.back().problem = "missing from the store: packs/…";
  const RecoveryWindow window = archive.rules().window();
  EXPECT_EQ(window.warnings.size(), 1u);
  const std::string id = archive.state.backups.back().backup;
  EXPECT_NE(archive.refusal(ToBackup{id}).find("missing from the store"), std::string::npos);
  for (auto& backup : archive.state.backups) backup.problem = "damaged";
  EXPECT_FALSE(archive.rules().window().earliest);
}

TEST(RecoveryRulesTest, GapIsNamedWithItsNearestTimes) {
  auto archive = simple();
  archive.segment(9).backup("b2", lsn(9, 100), lsn(9, 5000), at(100)).commit(6000, at(110));
  const RecoveryWindow window = archive.rules().window();
  ASSERT_EQ(window.gaps.size(), 1U);
  EXPECT_EQ(window.gaps[0].from, at(40));
  EXPECT_EQ(window.gaps[0].to, at(100));
  const std::string refusal = archive.refusal(ToTime{at(70)});
  EXPECT_NE(refusal.find(core::format_time(at(40))), std::string::npos);
  EXPECT_NE(refusal.find(core::format_time(at(100))), std::string::npos);
  EXPECT_EQ(archive.plan(ToTime{at(35)}).stop.lsn, lsn(4, 8000));
  EXPECT_EQ(archive.plan(ToTime{at(105)}).base.backup, "b2");
}

TEST(RecoveryRulesTest, WalAfterAGapWithoutABackupIsNotWithinReach) {
  auto archive = simple();
  archive.segment(9).commit(6000, at(110));
  EXPECT_EQ(archive.rules().window().latest, at(40));
  EXPECT_TRUE(archive.rules().window().needs_base_backup);
  EXPECT_FALSE(simple().rules().window().needs_base_backup);
  const RecoveryPlan plan = archive.plan(ToLatest{});
  EXPECT_EQ(plan.stop.lsn, lsn(4, 8000));
  EXPECT_EQ(plan.warnings.size(), 1U);
}

TEST(RecoveryRulesTest, BranchFollowsItsAncestorUpToTheSwitch) {
  auto archive = simple();
  archive.state.histories[{2}] = {{.timeline = {1}, .end = lsn(4, 200), .reason = "test"}};
  archive.segment(4, 7000, 2).commit(300, at(50), 2);
  // The branch's own copy of segment 4 has the ancestor's commit too.
  archive.state.segments[{2}].back().index.min_commit_time = at(30);
  const RecoveryPlan plan = archive.plan(ToTime{at(45)});
  EXPECT_EQ(plan.timeline.value, 2U);
  EXPECT_EQ(plan.stop.lsn, lsn(4, 300));
  EXPECT_EQ(archive.rules().window().latest, at(50));
}

TEST(RecoveryRulesTest, ABaseThatDidNotRestoreWellIsUsedOnlyIfThereIsNoOther) {
  auto archive = simple();
  archive.backup("b2", lsn(3, 120), lsn(3, 180), at(15));
  EXPECT_EQ(archive.plan(ToLatest{}).base.backup, "b2");
  archive.state.backups.back().restore_problem = "an index is damaged";
  EXPECT_EQ(archive.plan(ToLatest{}).base.backup, "b1");
  EXPECT_EQ(archive.plan(ToTime{at(25)}).base.backup, "b1");
  EXPECT_EQ(archive.plan(ToBackup{"b2"}).base.backup, "b2");
  archive.state.backups.front().restore_problem = "an index is damaged";
  const auto worse = archive.plan(ToLatest{});
  EXPECT_EQ(worse.base.backup, "b2");
  EXPECT_EQ(worse.warnings.size(), 1U);
}

TEST(RecoveryRulesTest, DamagedPagesOfTheBaseAreAWarning) {
  auto archive = simple();
  archive.state.backups[0].pages_failed = 3;
  EXPECT_EQ(archive.plan(ToLatest{}).warnings.size(), 1U);
}

TEST(RecoveryRulesTest, IncompleteIndexIsNotTrustedToHaveNoCommit) {
  ArchiveBuilder archive = simple();
  // The index of segment 3 tells nothing of its commits at 10 s and 20 s.
  archive.state.segments[{1}][1].index = {};
  archive.state.segments[{1}][1].index.incomplete = true;
  EXPECT_EQ(archive.plan(ToTime{at(15)}).stop.lsn, lsn(3, 200));
  EXPECT_EQ(archive.plan(ToTime{at(25)}).stop.lsn, lsn(4, 100));
}

TEST(RecoveryRulesTest, LatestReadsAnIncompleteLastSegment) {
  ArchiveBuilder archive = simple();
  archive.state.segments[{1}][2].index = {};
  archive.state.segments[{1}][2].index.incomplete = true;
  EXPECT_EQ(archive.plan(ToLatest{}).stop.lsn, lsn(4, 8000));
}

TEST(RecoveryRulesTest, PartThatCannotBeReadCostsOnlyTheTimesAroundIt) {
  ArchiveBuilder archive = simple();
  archive.state.segments[{1}][1].index.incomplete = true;
  archive.unreadable.insert(3);
  EXPECT_EQ(archive.plan(ToTime{at(15)}).stop.lsn, lsn(3, 200));
  EXPECT_NE(archive.refusal(ToTime{at(25)}).find("cannot be read"), std::string::npos);
  EXPECT_EQ(archive.plan(ToTime{at(35)}).stop.lsn, lsn(4, 8000)) << "a commit behind it is stamped before that";
}

TEST(RecoveryRulesTest, TablespaceMadeAfterTheBaseIsRefusedBeforeAnyWork) {
  ArchiveBuilder archive = simple();
  archive.state.segments[{1}][2].index.tablespaces = {lsn(4, 5000).value};
  EXPECT_NE(archive.refusal(ToLatest{}).find("tablespace"), std::string::npos);
  EXPECT_EQ(archive.plan(ToTime{at(25)}).stop.lsn, lsn(4, 100));
  archive.backup("b2", lsn(4, 6000), lsn(4, 7000), at(35));
  EXPECT_EQ(archive.plan(ToLatest{}).base.backup, "b2");
}

TEST(RecoveryRulesTest, WindowEndsWhereATablespaceWasMade) {
  ArchiveBuilder archive = simple();
  archive.state.segments[{1}][2].index.tablespaces = {lsn(4, 5000).value};
  const auto window = archive.rules().window();
  EXPECT_EQ(window.latest, at(30) - core::Duration(1)) << "the state of 30 s is replayed up to the commit at 40 s";
  EXPECT_TRUE(window.needs_base_backup);
  ASSERT_EQ(window.gaps.size(), 1U);
  EXPECT_EQ(window.gaps[0].to, at(40));
  EXPECT_NE(window.gaps[0].reason.find("tablespace"), std::string::npos);
  EXPECT_EQ(archive.refusal(ToTime{*window.latest}), "");
  EXPECT_NE(archive.refusal(ToTime{*window.latest + core::Duration(1)}), "");
}

TEST(RecoveryRulesTest, ABackupAfterATablespaceOpensTheWindowAgain) {
  ArchiveBuilder archive;
  archive.segment(2).backup("b1", lsn(2, 100), lsn(2, 5000), at(5));
  archive.segment(4, 9000).commit(100, at(30)).commit(5500, at(32)).commit(8000, at(40));
  archive.segment(3);
  std::swap(archive.state.segments[{1}][1], archive.state.segments[{1}][2]);
  archive.state.segments[{1}][2].index.tablespaces = {lsn(4, 5000).value};
  archive.backup("b2", lsn(4, 6000), lsn(4, 7000), at(35));
  const auto window = archive.rules().window();
  EXPECT_EQ(window.latest, at(40));
  EXPECT_FALSE(window.needs_base_backup);
  ASSERT_EQ(window.gaps.size(), 1U);
  EXPECT_EQ(window.gaps[0].from, at(30) - core::Duration(1));
  EXPECT_EQ(window.gaps[0].to, at(32));
  EXPECT_NE(archive.refusal(ToTime{at(31)}), "");
  EXPECT_EQ(archive.refusal(ToTime{at(32)}), "");
}

TEST(RecoveryRulesTest, NoBetterBaseIsChosenThatCannotReplayATablespace) {
  ArchiveBuilder archive = simple();
  archive.state.segments[{1}][2].index.tablespaces = {lsn(4, 200).value};
  archive.backup("b2", lsn(4, 300), lsn(4, 400), at(32));
  archive.backup("b3", lsn(4, 500), lsn(4, 600), at(34));
  archive.state.backups.back().restore_problem = "an index is damaged";
  EXPECT_EQ(archive.plan(ToLatest{}).base.backup, "b2");
  archive.state.backups[1].restore_problem = "an index is damaged";
  EXPECT_EQ(archive.rules().window().latest, at(40));
  EXPECT_EQ(archive.plan(ToLatest{}).base.backup, "b3") << "a doubtful one rather than none";
  EXPECT_EQ(archive.plan(ToTime{at(35)}).base.backup, "b3");
  EXPECT_EQ(archive.plan(ToTime{at(25)}).base.backup, "b1");
}

TEST(RecoveryRulesTest, ATablespaceMadeDuringTheFirstBackupMovesTheBeginning) {
  ArchiveBuilder archive = simple();
  archive.state.segments[{1}][0].index.tablespaces = {lsn(2, 200).value};
  EXPECT_FALSE(archive.rules().window().earliest) << "nothing can be reached";
  archive.backup("b2", lsn(4, 6000), lsn(4, 7000), at(35));
  const auto window = archive.rules().window();
  EXPECT_EQ(window.earliest, at(30));
  EXPECT_EQ(window.latest, at(40));
  EXPECT_EQ(archive.refusal(ToTime{at(30)}), "");
}

}  // namespace
}  // namespace backstay::backup
