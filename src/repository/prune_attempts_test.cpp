// Attempts at one backup that die, sleep or overtake each other.
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "repository/prune.h"
#include "repository/testing/prune_fixture.h"

namespace backstay::repository {
namespace {

using std::chrono::hours;
using testing::Attempt;
using testing::id;
using testing::InterruptedStore;
using testing::kInstance;
using testing::kSize;

class PruneAttemptsTest : public testing::PruneTest {};

/// What a failed attempt left is found while another attempt at the same backup begins and ends.
TEST_F(PruneAttemptsTest, AnAttemptIsKeptWhateverIsRemovedOfTheOneBefore) {
  put_segments(50, 51);
  Attempt first(*repository_, kInstance, 5);
  first.prepare(content(400));
  first.end();
  clock_.advance(hours(25));
  const auto original = memory_;
  std::set<bool> seen;
  for (std::uint64_t from = 1; from <= 24; ++from) {
    for (std::uint64_t to = from; to <= 24; ++to) {
      work_on_a_copy_of(*original);
      const auto interrupted = std::make_shared<InterruptedStore>(*memory_);
      const auto pruner = Repository::open(interrupted, key_, random_, clock_);
      Attempt second(*repository_, kInstance, 5);
      bool stored = false;
      interrupted->at_call(from, [&] { second.begin(); });
      interrupted->at_call(to + 1, [&] {
        second.put_packs(content(300));
        second.put_manifest({});
        second.store(50);
        stored = true;
      });
      prune(*pruner, {}, {});
      seen.insert(stored);
      second.end();
      run_to_the_end();
      ASSERT_EQ(repository_->backup_ids(kInstance).size(), stored ? 1U : 0U)
          << "begun at " << from << ", stored at " << to;
      EXPECT_EQ(count("manifest"), stored ? 1U : 0U);
      expect_all_whole();
    }
  }
  EXPECT_EQ(seen, (std::set{false, true}));
}

/// Whatever of a dead attempt arrives when: the next one at the same backup is what counts, and the rest goes.
TEST_F(PruneAttemptsTest, NothingOfADeadAttemptTakesThePlaceOfWhatIsStored) {
  put_segments(20, 31);
  Attempt dead(*repository_, kInstance, 2);
  dead.prepare(content(400));
  const BackupRecord late = dead.record(20);
  const auto manifest = memory_->get(manifest_name(late).key).value();
  const auto mark = memory_->get(writer_mark_name(kInstance, id(2), late.attempt).key).value();
  dead.end();
  memory_->remove(std::vector{manifest_name(late).key});
  Attempt next(*repository_, kInstance, 2);
  next.prepare(content(300));
  next.store(30);
  const ObjectId stored = next.attempt();

  memory_->put(manifest_name(late).key, manifest);
  EXPECT_EQ(repository_->backup(kInstance, id(2))->attempt, stored);
  repository_->put_backup(late);
  memory_->put(writer_mark_name(kInstance, id(2), late.attempt).key, mark);
  EXPECT_EQ(repository_->backup(kInstance, id(2))->attempt, stored);
  EXPECT_EQ(repository_->backups(kInstance).at(0).attempt, stored);
  EXPECT_EQ(repository_->attempts(kInstance, id(2)).size(), 2U);
  expect_all_whole();
  for (int i = 0; i < 12; ++i) {
    run_to_the_end();
    expect_all_whole();
  }
  EXPECT_EQ(repository_->backup(kInstance, id(2))->attempt, stored);
  EXPECT_EQ(count("backups/"), 2U) << "its manifest and its record";
  EXPECT_EQ(count("packs/"), 1U);
}

TEST_F(PruneAttemptsTest, WhatArrivesOfAnAttemptThatIsCondemnedGoesWithIt) {
  put_segments(20, 21);
  Attempt dead(*repository_, kInstance, 2);
  dead.prepare(content(400));
  const BackupRecord late = dead.record(20);
  dead.end();
  clock_.advance(hours(25));
  run();
  repository_->put_backup(late);
  EXPECT_TRUE(repository_->backup_ids(kInstance).empty());
  EXPECT_FALSE(repository_->backup(kInstance, id(2)));
  run_to_the_end();
  EXPECT_EQ(count("backups/"), 0U);
  EXPECT_EQ(count("packs/"), 0U);
}

/// Between the manifest and the record whatever it rests on may be on its way.
TEST_F(PruneAttemptsTest, WalStaysWhileAnAttemptThatDiedMayStillBecomeStored) {
  put_segments(10, 21);
  clock_.advance(hours(25));
  Attempt dead(*repository_, kInstance, 2);
  dead.prepare(content(400));
  const BackupRecord late = dead.record(20);
  dead.end();
  PruneRequest request;
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 22 * kSize}};
  run(request);
  repository_->put_backup(late);
  expect_all_whole();
  clock_.advance(hours(25));
  run(request);
  expect_all_whole();
  EXPECT_EQ(segments(), "20 21");
}

TEST_F(PruneAttemptsTest, AnAttemptThatWasTakenForDeadDoesNotSayThatItIsStored) {
  put_segments(20, 21);
  Attempt attempt(*repository_, kInstance, 2);
  attempt.prepare(content(400));
  PruneRequest request;
  request.ended = {id(2)};
  run(request);
  EXPECT_EQ(code_of([&] { attempt.put_record(20); }), core::Code::kConflict);
}

/// Whoever sees the record before its writer has looked for its mark once more leaves it there.
TEST_F(PruneAttemptsTest, APruneWhileTheRecordIsWrittenDoesNotSpoilIt) {
  put_segments(20, 21);
  const auto interrupted = std::make_shared<InterruptedStore>(*memory_);
  const auto writer = Repository::open(interrupted, key_, random_, clock_);
  Attempt attempt(*writer, kInstance, 2);
  attempt.prepare(content(400));
  clock_.advance(hours(30));
  // The look at the mark of a whole backup, that at the repository, the record; then the prune.
  interrupted->at_call(4, [&] { run(); });
  attempt.store(20);
  EXPECT_EQ(count("record."), 1U);
  expect_all_whole();
}

/// A backup of an instance whose backups stand alone comes to its end while a run looks at what a failed one left: its
/// WAL stays, whether its writer was seen at work or its record was.
TEST_F(PruneAttemptsTest, WalOfABackupThatIsStoredDuringARunStays) {
  put_segments(10, 11);
  put_segments(20, 21);
  take(1);
  Attempt dead(*repository_, kInstance, 5);
  dead.prepare(content(400));
  dead.end();
  clock_.advance(hours(25));
  const auto original = memory_;
  std::set<bool> seen;
  for (std::uint64_t at = 1; at <= 40; ++at) {
    work_on_a_copy_of(*original);
    clock_.advance(hours(25));
    const auto interrupted = std::make_shared<InterruptedStore>(*memory_);
    const auto pruner = Repository::open(interrupted, key_, random_, clock_);
    Attempt attempt(*repository_, kInstance, 2);
    attempt.begin();
    attempt.put_packs(content(300));
    bool stored = false;
    interrupted->at_call(at, [&] {
      attempt.put_manifest({});
      attempt.store(20);
      stored = true;
    });
    PruneRequest request;
    request.wal = {{.instance = kInstance}};
    prune(*pruner, request, {});
    seen.insert(stored);
    ASSERT_EQ(segments(), "10 11 20 21") << "stored at call " << at;
  }
  EXPECT_EQ(seen, (std::set{false, true}));
}

TEST_F(PruneAttemptsTest, ARecordWithoutAManifestTakesThePlaceOfNothing) {
  put_segments(20, 31);
  Attempt whole(*repository_, kInstance, 2);
  whole.prepare(content(400));
  whole.store(20);
  Attempt later(*repository_, kInstance, 2);
  later.prepare(content(300));
  later.store(30);
  const std::string manifest = manifest_name(later.record(30)).key;
  memory_->remove(std::vector{manifest});
  EXPECT_EQ(repository_->backup(kInstance, id(2))->attempt, whole.attempt());
  run_to_the_end();
  EXPECT_EQ(repository_->backup(kInstance, id(2))->attempt, whole.attempt());
  EXPECT_EQ(count("backups/"), 2U) << "its manifest and its record";
  expect_all_whole();
}

/// Its mark, its manifest and what condemned it are gone by the time that it wakes.
TEST_F(PruneAttemptsTest, AnAttemptThatWasSweptLeavesNoRecord) {
  put_segments(20, 21);
  Attempt asleep(*repository_, kInstance, 2);
  asleep.prepare(content(400));
  memory_->remove(
      std::vector{manifest_name(asleep.record(20)).key, writer_mark_name(kInstance, id(2), asleep.attempt()).key});
  EXPECT_EQ(code_of([&] { asleep.put_record(20); }), core::Code::kConflict);
  EXPECT_EQ(count("record."), 0U);
}

/// Without a time for readers there is still one for what is on its way.
TEST_F(PruneAttemptsTest, WithoutAGraceARecordThatArrivesLateDoesNotCountEither) {
  put_segments(20, 21);
  PruneRequest request;
  request.grace = {};
  for (const bool deleted : {false, true}) {
    Attempt dead(*repository_, kInstance, 2);
    dead.prepare(content(400));
    const BackupRecord late = dead.record(20);
    dead.end();
    clock_.advance(std::chrono::minutes(1));
    request.backups = deleted ? without({2}).backups : std::vector<Unwanted>();
    for (int i = 0; i < 3; ++i) {
      clock_.advance(std::chrono::minutes(4));
      run(request);
    }
    repository_->put_backup(late);
    EXPECT_TRUE(repository_->backup_ids(kInstance).empty()) << deleted;
    clock_.advance(std::chrono::minutes(12));
    for (int i = 0; i < 3; ++i) run(request);
    EXPECT_EQ(count("backups/"), 0U) << deleted;
    EXPECT_EQ(count("packs/"), 0U) << deleted;
  }
}

/// As a damaged one does: whoever removed it by mistake may bring it back.
TEST_F(PruneAttemptsTest, AManifestThatIsLostHoldsAllPacksUntilItsBackupIsDeleted) {
  put_segments(20, 21);
  Attempt attempt(*repository_, kInstance, 2);
  attempt.prepare(content(400));
  attempt.store(20);
  const std::string key = manifest_name(attempt.record(20)).key;
  const auto manifest = memory_->get(key).value();
  memory_->remove(std::vector{key});
  run_to_the_end();
  clock_.advance(hours(25));
  const PruneReport report = run();
  ASSERT_FALSE(report.steps.empty());
  EXPECT_NE(report.steps.back().why.find(key), std::string::npos) << report.steps.back().why;
  EXPECT_EQ(count("packs/"), 1U);
  memory_->put(key, manifest);
  expect_all_whole();
  memory_->remove(std::vector{key});
  run_to_the_end(without({2}));
  EXPECT_EQ(count("packs/"), 0U);
  EXPECT_EQ(count("backups/"), 0U);
}

}  // namespace
}  // namespace backstay::repository
