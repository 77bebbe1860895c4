#include "repository/prune.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "repository/page_change_objects.h"
#include "repository/prune_survey.h"
#include "repository/testing/prune_fixture.h"

namespace backstay::repository {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::Attempt;
using testing::id;
using testing::InterruptedStore;
using testing::kInstance;
using testing::kSize;
using testing::PruneTest;

const std::string kOther = "33333333-3333-4333-8333-333333333333";

using enum PruneAction;

TEST_F(PruneTest, ABackupIsHiddenThenRemovedThenItsPacksGo) {
  put_segments(10, 31);
  for (const int number : {1, 2, 3}) take(number);
  const std::size_t all = memory_->keys().size();
  clock_.advance(hours(25));
  const PruneRequest request = without({1});

  PruneReport report = run(request);
  EXPECT_EQ(actions(report), std::vector{kCondemnBackup});
  EXPECT_EQ(repository_->backup_ids(kInstance), (std::vector{id(2), id(3)})) << "no list shows it";
  EXPECT_EQ(memory_->keys().size(), all + 1) << "nothing but the mark was written, nothing removed";
  expect_whole(kInstance, id(1));

  clock_.advance(hours(23));
  EXPECT_EQ(actions(run(request)), std::vector{kWait});
  EXPECT_EQ(memory_->keys().size(), all + 1);

  clock_.advance(hours(2));
  report = run(request);
  EXPECT_EQ(actions(report), (std::vector{kRemoveBackup, kCondemnPacks}));
  EXPECT_EQ(report.backups_removed, std::vector{id(1)});
  EXPECT_EQ(count(id(1)), 0U);
  EXPECT_EQ(count("packs/"), 3U);

  clock_.advance(hours(25));
  report = run(request);
  EXPECT_EQ(actions(report), std::vector{kRemovePacks});
  EXPECT_GT(report.bytes_removed, 200U);
  EXPECT_EQ(count("packs/"), 2U);
  EXPECT_EQ(count("condemned"), 0U);
  expect_all_whole();
  EXPECT_TRUE(run(request).steps.empty()) << "once more changes nothing";
}

TEST_F(PruneTest, ADryRunSaysTheSameAndChangesNothing) {
  put_segments(10, 31);
  for (const int number : {1, 2, 3}) take(number);
  clock_.advance(hours(25));
  PruneRequest request = without({1});
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 20 * kSize}};
  for (int i = 0; i < 4; ++i) {
    const auto keys = memory_->keys();
    PruneRequest dry = request;
    dry.dry_run = true;
    const auto expected = actions(run(dry));
    EXPECT_EQ(memory_->keys(), keys);
    const auto done = actions(run(request));
    // What a removed backup leaves behind is found by looking once more.
    for (const PruneAction action : expected) EXPECT_NE(std::ranges::find(done, action), done.end());
    clock_.advance(hours(25));
  }
}

TEST_F(PruneTest, SharedPacksStayWithWhoeverNeedsThem) {
  put_segments(10, 31);
  put_segments(20, 21, kOther);
  const FileEntry shared = take(1);
  take(2, kOther, shared);
  take(3);
  run_to_the_end(without({1}));
  EXPECT_EQ(repository_->backup_ids(kInstance), std::vector{id(3)});
  EXPECT_EQ(count("packs/"), 3U) << "that of the first is needed by the second, which is of another instance";
  expect_all_whole();
  run_to_the_end(without({2}, kOther));
  EXPECT_EQ(count("packs/"), 1U);
  expect_all_whole();
}

TEST_F(PruneTest, WalGoesUpToTheLimitAndNoFurther) {
  put_segments(8, 45);
  for (const int number : {1, 2, 3, 4}) take(number);
  clock_.advance(hours(25));
  PruneRequest request = without({2});
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 40 * kSize + 40, .reason = "the window begins there"}};
  run(request);
  EXPECT_EQ(segments(), "10 11 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45")
      << "the first needs no more than its own; the second may be being recovered from";
  clock_.advance(hours(25));
  run(request);
  EXPECT_EQ(segments(), "10 11 30 31 40 41 42 43 44 45");
  expect_all_whole();
}

TEST_F(PruneTest, ChangesOfPagesGoWithTheWalThatTheyAreOf) {
  const auto put = [&](std::uint32_t timeline, std::uint64_t from, std::uint64_t to) {
    put_page_changes(*repository_, kInstance, {.timeline = timeline, .from = from, .to = to, .epoch = 1},
                     core::Bytes(3));
  };
  put(1, 40, 500);
  put(2, 500, kSize);
  put(2, kSize, 2 * kSize + 40);  // to the base's start, and no further
  put(2, kSize + 8, 2 * kSize + 48);
  put(3, 40, 50);
  repository_->put_instance({.instance = kInstance, .wal_segment_size = kSize});
  PruneRequest request;
  request.wal = {{.instance = kInstance, .timeline = 2, .lsn = 2 * kSize + 40}};
  run(request);
  EXPECT_EQ(count("/changes/"), 5U) << "younger than the grace";
  clock_.advance(hours(25));
  run(request);
  const auto left = list_page_changes(*repository_, kInstance, 2);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].to, 2 * kSize + 48);
  EXPECT_TRUE(get_page_changes(*repository_, kInstance, left[0]));
  EXPECT_EQ(list_page_changes(*repository_, kInstance, 1).size(), 0U);
  EXPECT_EQ(list_page_changes(*repository_, kInstance, 3).size(), 1U);
}

TEST_F(PruneTest, RollUpsGoWithTheLastOfTheirSegments) {
  put_segments(250, 280);
  WalStore wal(*repository_, kInstance, kSize);
  wal.put_window_end(1, {.time = clock_.now(), .lsn = 281 * kSize});
  take(27);
  EXPECT_EQ(count("/index/"), 2U);
  clock_.advance(hours(25));
  PruneRequest request;
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 255 * kSize}};
  run(request);
  EXPECT_EQ(count("/index/"), 2U);
  request.wal[0].lsn = 270 * kSize;
  run(request);
  EXPECT_EQ(count("/index/"), 1U);
  EXPECT_EQ(count("window-end"), 1U);
  EXPECT_EQ(segments(), "270 271 272 273 274 275 276 277 278 279 280");
}

TEST_F(PruneTest, TimelinesBeforeGoAsToldAndThoseAfterStay) {
  WalStore wal(*repository_, kInstance, kSize);
  SegmentIndex index;
  for (index.timeline = 1; index.timeline <= 4; ++index.timeline) {
    for (index.segment = 1; index.segment <= 4; ++index.segment) wal.put_segment(core::Bytes(kSize), index, 1);
  }
  clock_.advance(hours(25));
  repository_->put_instance({.instance = kInstance, .wal_segment_size = kSize});
  PruneRequest request;
  request.wal = {{.instance = kInstance, .timeline = 3, .lsn = 3 * kSize, .earlier = {{2, 2 * kSize}}}};
  run(request);
  EXPECT_EQ(wal.list(1).size(), 0U);
  EXPECT_EQ(wal.list(2).size(), 3U);
  EXPECT_EQ(wal.list(3).size(), 2U);
  EXPECT_EQ(wal.list(4).size(), 4U);
}

TEST_F(PruneTest, FreshWalAndTheWalOfABackupThatIsBeingWrittenStay) {
  put_segments(1, 5);
  take(1);
  PruneRequest request;
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 4 * kSize}};
  run(request);
  EXPECT_EQ(segments(), "1 2 3 4 5") << "younger than the grace";
  clock_.advance(hours(25));
  Attempt attempt(*repository_, kInstance, 2);
  attempt.begin();
  EXPECT_EQ(actions(run(request)), std::vector{kWait});
  EXPECT_EQ(segments(), "1 2 3 4 5");
  attempt.end();
  run(request);
  EXPECT_EQ(segments(), "4 5");
}

TEST_F(PruneTest, PacksOfABackupThatIsBeingWrittenStayHoweverOldTheyAre) {
  Attempt attempt(*repository_, kInstance, 2);
  attempt.begin();
  attempt.put_packs(content(400));
  put_segments(20, 21);
  for (int day = 0; day < 6; ++day) {
    clock_.advance(hours(25));
    run();
  }
  EXPECT_EQ(count("packs/"), 1U);
  attempt.put_manifest({});
  attempt.store(20);
  run_to_the_end();
  EXPECT_EQ(count("packs/"), 1U);
  EXPECT_EQ(count("condemned"), 0U);
  expect_all_whole();
  EXPECT_EQ(repository_->backup_ids(kInstance).size(), 1U);
}

TEST_F(PruneTest, WhatAnAttemptThatFailedLeftGoes) {
  {
    Attempt attempt(*repository_, kInstance, 2);
    attempt.prepare(content(400));
    clock_.advance(days(3));
    run();
    EXPECT_EQ(count("manifest"), 1U) << "it is at work";
  }
  EXPECT_EQ(count("writing"), 0U);
  run_to_the_end();
  EXPECT_EQ(count("packs/"), 0U);
  EXPECT_EQ(count("instances/"), 0U);
}

TEST_F(PruneTest, AMarkThatACrashLeftEndsWithTheLongestBackup) {
  Attempt attempt(*repository_, kInstance, 2);
  attempt.begin();
  attempt.put_packs(content(400));
  const core::Bytes mark = *memory_->get(writer_mark_name(kInstance, id(2), attempt.attempt()).key);
  attempt.end();
  memory_->put(writer_mark_name(kInstance, id(2), attempt.attempt()).key, mark);
  clock_.advance(days(7) + hours(23));
  run();
  EXPECT_EQ(count("writing"), 1U);
  clock_.advance(hours(2));
  run_to_the_end();
  EXPECT_EQ(count("writing"), 0U);
  EXPECT_EQ(count("packs/"), 0U);
}

TEST_F(PruneTest, AnAttemptThatIsKnownToBeOverHoldsNothing) {
  Attempt attempt(*repository_, kInstance, 2);
  attempt.begin();
  attempt.put_packs(content(400));
  const core::Bytes mark = *memory_->get(writer_mark_name(kInstance, id(2), attempt.attempt()).key);
  attempt.end();
  memory_->put(writer_mark_name(kInstance, id(2), attempt.attempt()).key, mark);
  PruneRequest request;
  request.ended = {id(2)};
  run_to_the_end(request);
  EXPECT_EQ(count("packs/"), 0U);
}

TEST_F(PruneTest, ABackupThatTookTooLongIsNotStored) {
  Attempt attempt(*repository_, kInstance, 2);
  attempt.prepare(content(400));
  clock_.advance(days(7));
  EXPECT_EQ(code_of([&] { attempt.put_record(20); }), core::Code::kTimeout);
}

TEST_F(PruneTest, AnIdThatIsCondemnedIsNotTakenAgain) {
  put_segments(20, 21);
  take(2);
  run(without({2}));
  EXPECT_EQ(code_of([&] { Attempt(*repository_, kInstance, 2).begin(); }), core::Code::kConflict);
  EXPECT_EQ(count("writing"), 0U);
}

TEST_F(PruneTest, OneClockAloneRemovesNothing) {
  put_segments(10, 21);
  for (const int number : {1, 2}) take(number);
  clock_.advance(hours(25));
  run(without({1}));
  // The machine's own clock is right; the mark says that it was written by one that is a year ahead.
  core::testing::ManualClock ahead(clock_.now() + days(365));
  const auto elsewhere = Repository::open(store_, key_, random_, ahead);
  EXPECT_EQ(actions(prune(*elsewhere, {}, {})), std::vector{kWait});
  EXPECT_EQ(count(id(1)), 3U);
}

TEST_F(PruneTest, ADamagedManifestHoldsEveryPack) {
  put_segments(10, 31);
  for (const int number : {1, 2, 3}) take(number);
  run_to_the_end(without({1}));
  EXPECT_EQ(count("packs/"), 2U);
  take(4);
  clock_.advance(hours(25));
  run(without({4}));
  clock_.advance(hours(25));
  const std::string manifest = manifest_name(repository_->backup(kInstance, id(2)).value()).key;
  memory_->corrupt(manifest, memory_->get(manifest)->size() - 80);
  const PruneReport report = run();
  EXPECT_EQ(actions(report), (std::vector{kRemoveBackup, kWait}));
  EXPECT_NE(report.steps[1].why.find(id(2)), std::string::npos) << report.steps[1].why;
  run_to_the_end();
  EXPECT_EQ(count("packs/"), 3U);
  run_to_the_end(without({2}));
  EXPECT_EQ(count("packs/"), 1U) << "once the damaged one is given up";
  expect_all_whole();
}

TEST_F(PruneTest, ADamagedRecordHoldsItsWal) {
  put_segments(8, 31);
  for (const int number : {1, 2, 3}) take(number);
  clock_.advance(hours(25));
  memory_->corrupt(backup_record_name(repository_->backup(kInstance, id(1)).value()).key, 60);
  PruneRequest request;
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 30 * kSize}};
  EXPECT_EQ(actions(run(request)), std::vector{kWait});
  EXPECT_EQ(WalStore(*repository_, kInstance, kSize).list(1).size(), 24U);
}

TEST_F(PruneTest, AnInstanceThatIsNotWantedGoesWithItsLastBackup) {
  put_segments(8, 31);
  put_segments(8, 31, kOther);
  repository_->put_instance({.instance = kInstance, .wal_segment_size = kSize});
  for (const int number : {1, 2}) take(number);
  take(3, kOther);
  clock_.advance(hours(25));
  PruneRequest request = without({1});
  request.instances = {kInstance};
  request.wal = {{.instance = kInstance}};
  run_to_the_end(request);
  EXPECT_EQ(segments(), "20 21") << "one backup is left, with its own WAL";
  request.backups.push_back({kInstance, id(2), "the test says so"});
  run_to_the_end(request);
  EXPECT_EQ(count(kInstance), 0U);
  EXPECT_EQ(count("packs/"), 1U);
  expect_whole(kOther, id(3));
}

TEST_F(PruneTest, OneInstanceAloneIsLookedAtWhenAskedTo) {
  put_segments(10, 31);
  put_segments(30, 31, kOther);
  for (const int number : {1, 2}) take(number);
  take(3, kOther);
  PruneRequest request = without({1});
  request.backups.push_back({kOther, id(3), "not looked at"});
  request.only = {kInstance};
  request.packs = false;
  const std::size_t before = store_->calls();
  run_to_the_end(request);
  EXPECT_LT(store_->calls() - before, 60U);
  EXPECT_EQ(count(id(1)), 0U);
  EXPECT_EQ(count("packs/"), 3U) << "packs were not asked for";
  EXPECT_EQ(count("condemned"), 0U);
  EXPECT_EQ(repository_->backup_ids(kOther).size(), 1U);
  request.packs = true;
  run_to_the_end(request);
  EXPECT_EQ(count("packs/"), 2U);
  expect_all_whole();
}

TEST_F(PruneTest, FewIdsInMemoryAreEnough) {
  put_segments(10, 99);
  for (int number = 1; number < 9; ++number) take(number);
  PruneRequest request = without({1, 2, 3, 4, 5});
  request.ids_in_memory = 2;
  run_to_the_end(request);
  EXPECT_EQ(count("packs/"), 3U);
  expect_all_whole();
}

/// Fails, or loses the answer of, each call of each run in turn; what is kept stays whole, and the end is the same.
TEST_F(PruneTest, AFaultAtAnyCallChangesNothingInTheEnd) {
  put_segments(10, 11);
  put_segments(20, 21);
  put_segments(30, 31);
  const FileEntry shared = take(1);
  take(2, kInstance, shared);
  take(3);
  const auto original = memory_;
  for (const bool lose : {false, true}) {
    bool failed = true;
    for (std::uint64_t nth = 1; failed; ++nth) {
      work_on_a_copy_of(*original);
      blob::testing::FaultyStore faulty(*memory_);
      const auto pruner =
          Repository::open(std::shared_ptr<blob::Store>(std::shared_ptr<void>(), &faulty), key_, random_, clock_);
      PruneRequest request = without({1, 2});
      request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 30 * kSize}};
      lose ? faulty.lose_answer(nth) : faulty.fail_call(nth);
      failed = false;
      std::size_t shown = 3;
      for (int i = 0; i < 3; ++i) {
        clock_.advance(hours(25));
        try {
          prune(*pruner, request, {});
        } catch (const core::Error& error) {
          EXPECT_EQ(error.code(), core::Code::kStoreUnreachable);
          failed = true;
        }
        // Hidden once is hidden for ever, and what is shown is whole.
        const std::size_t now = repository_->backup_ids(kInstance).size();
        ASSERT_LE(now, shown) << "call " << nth;
        shown = now;
      }
      expect_all_whole();
      run_to_the_end(request);
      ASSERT_EQ(count("packs/"), 1U) << "call " << nth;
      ASSERT_EQ(count("condemned"), 0U) << "call " << nth;
      ASSERT_EQ(segments(), "30 31") << "call " << nth;
      ASSERT_EQ(count(id(1)) + count(id(2)), 0U) << "call " << nth;
      ASSERT_FALSE(HasFailure()) << "call " << nth;
      ASSERT_TRUE(failed || nth > 50) << "no call was hit";
    }
  }
}

TEST_F(PruneTest, AListThatIsOlderThanTheOneBeforeItHidesNothing) {
  put_segments(9, 31);
  for (const int number : {1, 2, 3}) take(number);
  const auto store = std::make_shared<InterruptedStore>(*memory_);
  repository_ = Repository::open(store, key_, random_, clock_);
  PruneRequest request = without({1});
  request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 40 * kSize, .reason = "the window begins there"}};
  for (int i = 0; i < 4; ++i) {
    store->list_late(id(3));
    clock_.advance(hours(25));
    run(request);
  }
  store->list_late({});
  EXPECT_EQ(segments(), "20 21 30 31");
  EXPECT_EQ(count("packs/"), 2U);
  expect_all_whole();
}

/// A backup whose steps happen at random calls of a series of runs, while others are condemned and swept. It begins
/// before, in the middle of, or after what it shares a pack with is condemned.
TEST_F(PruneTest, ABackupThatIsTakenMeanwhileIsWhole) {
  put_segments(9, 11);
  put_segments(20, 21);
  put_segments(50, 51);
  const FileEntry shared = take(1);
  take(2);
  const auto original = memory_;
  for (int round = 0; round < 150; ++round) {
    work_on_a_copy_of(*original);
    const auto interrupted = std::make_shared<InterruptedStore>(*memory_);
    const auto pruner = Repository::open(interrupted, key_, random_, clock_);
    Attempt attempt(*repository_, kInstance, 5);
    bool shares = false;
    const std::vector<std::function<void()>> steps{
        [&] {
          attempt.begin();
          // A writer may refer to what a list shows it once its mark is there.
          const auto listed = repository_->backup_ids(kInstance);
          shares = std::ranges::find(listed, id(1)) != listed.end();
        },
        [&] { attempt.put_packs(content(400)); },
        [&] { attempt.put_manifest(shares ? shared : FileEntry{}); },
        [&] { attempt.put_record(50); },
        [&] { attempt.end(); },
    };
    std::size_t next = 0;
    PruneRequest request = without({1});
    request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 20 * kSize}};
    for (int i = 0; i < 6; ++i) {
      clock_.advance(hours(25));
      for (int step = 0; step < 2; ++step) {
        interrupted->at_call(1 + below(60), [&] {
          if (next < steps.size() && below(2) == 0) steps[next++]();
        });
      }
      prune(*pruner, request, {});
    }
    while (next < steps.size()) steps[next++]();
    expect_all_whole();
    EXPECT_EQ(repository_->backup_ids(kInstance), (std::vector{id(2), id(5)}));
    run_to_the_end(request);
    expect_all_whole();
    EXPECT_EQ(count("packs/"), shares ? 3U : 2U);
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

TEST_F(PruneTest, TwoPrunersAtOnceDoNoHarm) {
  put_segments(10, 11);
  put_segments(20, 21);
  put_segments(30, 31);
  const FileEntry shared = take(1);
  take(2, kInstance, shared);
  take(3, kInstance, shared);
  const auto original = memory_;
  for (int round = 0; round < 100; ++round) {
    work_on_a_copy_of(*original);
    const auto interrupted = std::make_shared<InterruptedStore>(*memory_);
    const auto pruner = Repository::open(interrupted, key_, random_, clock_);
    PruneRequest request = without({1, 2});
    request.wal = {{.instance = kInstance, .timeline = 1, .lsn = 30 * kSize}};
    for (int i = 0; i < 5; ++i) {
      clock_.advance(hours(25));
      interrupted->at_call(1 + below(60), [&] { run(request); });
      interrupted->at_call(1 + below(60), [&] { run(request); });
      prune(*pruner, request, {});
      expect_whole(kInstance, id(3));
    }
    run_to_the_end(request);
    EXPECT_EQ(count("packs/"), 2U);
    EXPECT_EQ(count("condemned"), 0U);
    expect_all_whole();
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace backstay::repository
