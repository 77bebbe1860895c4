#include "model/retention.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <gtest/gtest.h>

#include "core/testing/seed.h"

namespace backstay::model {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

const core::Timestamp kStart = core::parse_time("2026-03-01T00:00:00Z");
core::Timestamp day(double number) { return kStart + minutes(static_cast<std::int64_t>(number * 24 * 60)); }

/// A confirmed backup of instance "a"; its LSNs follow the day.
RetainedBackup backup(const std::string& id, double taken) {
  RetainedBackup result;
  result.id = id;
  result.instance_id = "a";
  result.confirmed = true;
  result.stamps = {day(taken)};
  result.timeline = 1;
  result.start_lsn = static_cast<std::uint64_t>(taken * 1000) + 1;
  result.stop_lsn = result.start_lsn + 10;
  return result;
}

/// Seven days, one instance, no floor unless a test asks for it.
RetentionQuestion question(double now, std::vector<RetainedBackup> backups) {
  RetentionQuestion result;
  result.now = {day(now)};
  result.instances = {{.id = "a"}};
  result.backups = std::move(backups);
  return result;
}

/// The ids of those that go, joined.
std::string gone(const RetentionDecision& decision) {
  std::string ids;
  for (const BackupVerdict& verdict : decision.backups) {
    EXPECT_FALSE(verdict.reason.empty()) << verdict.backup_id;
    if (verdict.goes) ids += (ids.empty() ? "" : " ") + verdict.backup_id;
  }
  return ids;
}
std::string gone(const RetentionQuestion& asked) { return gone(decide_retention(asked)); }

std::string reason(const RetentionQuestion& asked, const std::string& id) {
  for (const BackupVerdict& verdict : decide_retention(asked).backups) {
    if (verdict.backup_id == id) return verdict.reason;
  }
  return "no verdict";
}

/// The kept start on the base's timeline; 0 if all WAL stays.
std::uint64_t wal_from(const RetentionQuestion& asked) {
  const RetentionDecision decision = decide_retention(asked);
  return decision.wal.empty() || !decision.wal[0].from ? 0 : decision.wal[0].from->lsn;
}

TEST(RetentionTest, TheNewestBackupBeforeTheCutStaysWithItsWal) {
  const auto asked = question(10, {backup("b1", 1), backup("b2", 2), backup("b3", 4), backup("b4", 9)});
  EXPECT_EQ(gone(asked), "b1");
  EXPECT_EQ(wal_from(asked), 2001U);
  EXPECT_EQ(reason(asked, "b2"), "the recovery window of 7 days begins with it");
}

TEST(RetentionTest, WithoutWalOnlyTheRetentionCounts) {
  auto asked = question(10, {backup("b1", 1), backup("b2", 2), backup("b3", 4), backup("b4", 9)});
  asked.instances[0].continuous = false;
  EXPECT_EQ(gone(asked), "b1 b2");
  auto wal = decide_retention(asked).wal;
  ASSERT_EQ(wal.size(), 1U);
  EXPECT_FALSE(wal[0].from) << "each backup has its own, and no other is needed";
  asked.enabled = false;
  EXPECT_EQ(decide_retention(asked).wal.size(), 1U) << "also of what its owner deletes while nothing else is taken";
  asked.backups[3].state = BackupState::kRunning;
  EXPECT_TRUE(decide_retention(asked).wal.empty()) << "it belongs to the one that is being taken";
}

TEST(RetentionTest, WhereTheServiceIsCoveredElsewhereTheLastOneMayGo) {
  auto asked = question(10, {backup("b1", 9)});
  asked.instances[0].continuous = false;
  asked.backups[0].expires_at = day(9.5);
  EXPECT_EQ(gone(asked), "");
  EXPECT_EQ(deletion_obstacle(asked, "b1"), "it is the last good backup");
  asked.covered_elsewhere = true;
  EXPECT_EQ(gone(asked), "b1") << "its own expiry has passed";
  EXPECT_EQ(deletion_obstacle(asked, "b1"), std::nullopt);
  asked.backups[0].expires_at.reset();
  asked.now = {day(100)};
  EXPECT_EQ(gone(asked), "") << "age alone takes nobody's last one";
}

TEST(RetentionTest, TheLastConfirmedBackupStaysHoweverOldItIs) {
  for (const bool continuous : {true, false}) {
    auto asked = question(300, {backup("b1", 1), backup("b2", 2)});
    asked.instances[0].continuous = continuous;
    EXPECT_EQ(gone(asked), "b1");
    EXPECT_EQ(reason(asked, "b2"), "it is the newest confirmed backup");
  }
}

TEST(RetentionTest, ABackupThatIsNotConfirmedReplacesNone) {
  auto asked = question(20, {backup("b1", 1), backup("b2", 2), backup("b3", 3)});
  asked.backups[2].confirmed = false;
  EXPECT_EQ(gone(asked), "b1");
  EXPECT_EQ(wal_from(asked), 2001U);
  asked.backups[1].confirmed = false;
  EXPECT_EQ(gone(asked), "");
  asked.backups[0].confirmed = false;
  EXPECT_EQ(gone(asked), "") << "nothing is confirmed";
  EXPECT_EQ(wal_from(asked), 0U);
}

TEST(RetentionTest, WhatWasNeverConfirmedGoesWithItsAge) {
  auto asked = question(20, {backup("b1", 1), backup("b2", 2), backup("b3", 18)});
  asked.backups[0].confirmed = asked.backups[1].confirmed = false;
  EXPECT_EQ(gone(asked), "b1 b2");
  asked = question(5, {backup("b1", 1), backup("b2", 2)});
  asked.backups[0].confirmed = false;
  EXPECT_EQ(gone(asked), "");
  EXPECT_EQ(wal_from(asked), 1001U) << "it may be confirmed yet";
}

TEST(RetentionTest, PinsAndExpiriesOfTheirOwnComeFirst) {
  auto asked = question(30, {backup("b1", 1), backup("b2", 2), backup("b3", 3), backup("b4", 20), backup("b5", 29)});
  asked.backups[0].pinned = true;
  asked.backups[1].expires_at = day(31);
  asked.backups[4].expires_at = day(29.5);
  EXPECT_EQ(gone(asked), "b3");
  EXPECT_EQ(reason(asked, "b5"), "it is the newest confirmed backup");
  EXPECT_EQ(wal_from(asked), 20001U) << "a pinned backup needs no more than its own WAL";
  asked.backups.push_back(backup("b6", 29.9));
  asked.now = {day(32)};
  EXPECT_EQ(gone(asked), "b2 b3 b5");
}

TEST(RetentionTest, AnExpiryOfItsOwnNeverShortensTheWindow) {
  auto asked = question(10, {backup("b1", 2), backup("b2", 5), backup("b3", 9)});
  asked.backups[0].expires_at = asked.backups[1].expires_at = day(6);
  EXPECT_EQ(gone(asked), "b2");
  EXPECT_EQ(reason(asked, "b1"), "the recovery window of 7 days begins with it");
}

TEST(RetentionTest, UnfinishedAndFailedBackups) {
  auto asked = question(10, {backup("running", 9.9), backup("old", 1), backup("new", 9.8), backup("good", 2)});
  for (int i = 0; i < 3; ++i) {
    asked.backups[static_cast<std::size_t>(i)].stored = asked.backups[static_cast<std::size_t>(i)].confirmed = false;
  }
  asked.backups[0].state = BackupState::kRunning;
  asked.backups[1].state = asked.backups[2].state = BackupState::kFailed;
  EXPECT_EQ(gone(asked), "old");
  EXPECT_TRUE(decide_retention(asked).wal.empty()) << "the one that is being taken may need any of it";
  asked.backups[0].state = BackupState::kDeleting;
  EXPECT_EQ(gone(asked), "running old");
}

TEST(RetentionTest, ABackupThatIsBeingDeletedIsNoBase) {
  auto asked = question(20, {backup("b1", 1), backup("b2", 2), backup("b3", 19)});
  asked.backups[1].state = BackupState::kDeleting;
  EXPECT_EQ(gone(asked), "b2");
  EXPECT_EQ(wal_from(asked), 1001U);
}

TEST(RetentionTest, ADeletedServiceKeepsAllUntilItExpires) {
  auto asked = question(20, {backup("b1", 1), backup("b2", 2), backup("b3", 3)});
  asked.backups[1].pinned = true;
  asked.deleted = true;
  EXPECT_EQ(gone(asked), "");
  asked.expires_at = day(21);
  EXPECT_EQ(gone(asked), "");
  EXPECT_TRUE(decide_retention(asked).wal.empty());
  asked.now = {day(21)};
  EXPECT_EQ(gone(asked), "b1 b3");
  const auto wal = decide_retention(asked).wal;
  ASSERT_EQ(wal.size(), 1U);
  EXPECT_FALSE(wal[0].from) << "all of it";
}

TEST(RetentionTest, WithBackupsOffNothingAges) {
  auto asked = question(40, {backup("b1", 1), backup("b2", 2), backup("b3", 3)});
  asked.enabled = false;
  asked.backups[1].expires_at = day(5);
  EXPECT_EQ(gone(asked), "b2");
  EXPECT_TRUE(decide_retention(asked).wal.empty());
}

TEST(RetentionTest, AnInstanceThatSomebodyNeedsStaysWhole) {
  auto asked = question(40, {backup("b1", 1), backup("b2", 2), backup("b3", 3)});
  asked.instances[0].held_by = "'copy' is being recovered from it";
  EXPECT_EQ(gone(asked), "");
  EXPECT_TRUE(decide_retention(asked).wal.empty());
}

/// "a" served until day 10, "b" since.
RetentionQuestion after_a_switch(double now) {
  auto asked = question(now, {backup("a1", 1), backup("a2", 5), backup("a3", 9)});
  asked.instances = {{.id = "a", .served_until = day(10)}, {.id = "b"}};
  return asked;
}

RetainedBackup of_b(const std::string& id, double taken) {
  RetainedBackup result = backup(id, taken);
  result.instance_id = "b";
  result.timeline = 2;
  return result;
}

TEST(RetentionTest, TheInstanceBeforeStaysUntilTheWindowIsPastIt) {
  auto asked = after_a_switch(30);
  EXPECT_EQ(gone(asked), "") << "the new instance has no backup at all";
  asked.backups.push_back(of_b("b1", 10.1));
  asked.backups.back().confirmed = false;
  EXPECT_EQ(gone(asked), "");
  asked.backups.back().confirmed = true;
  asked.now = {day(14)};
  EXPECT_EQ(gone(asked), "a1") << "days 7 to 10 are those of the instance before";
  EXPECT_EQ(wal_from(asked), 5001U);
  asked.now = {day(17.05)};
  EXPECT_EQ(gone(asked), "a1 a2") << "the first backup of the new instance is not older than the cut yet";
  asked.now = {day(17.2)};
  EXPECT_EQ(gone(asked), "a1 a2 a3");
  const auto wal = decide_retention(asked).wal;
  ASSERT_EQ(wal.size(), 2U);
  EXPECT_FALSE(wal[0].from);
  EXPECT_EQ(wal[1].from, (WalStart{2, 10101}));
}

TEST(RetentionTest, EarlierTimelinesGoAndLaterOnesStay) {
  auto asked = question(20, {backup("b1", 1), backup("b2", 2), backup("b3", 3), backup("b4", 19)});
  asked.backups[1].timeline = 2;
  asked.backups[2].timeline = 2;
  asked.backups[3].timeline = 3;
  EXPECT_EQ(gone(asked), "b1 b2");
  const auto wal = decide_retention(asked).wal;
  ASSERT_EQ(wal.size(), 1U);
  EXPECT_EQ(wal[0].from, (WalStart{2, 3001}));
  EXPECT_TRUE(wal[0].earlier.empty());
}

TEST(RetentionTest, ClocksThatDisagreeDeleteNothing) {
  auto asked = question(100, {backup("b1", 1), backup("b2", 2)});
  asked.now.push_back(day(2));
  EXPECT_EQ(gone(asked), "");
  EXPECT_TRUE(decide_retention(asked).wal.empty());
  EXPECT_EQ(reason(asked, "b1").substr(0, 57), "the clocks of this machine and of the store are 2352h00m ");
  asked.now = {day(100), day(100) - minutes(30)};
  EXPECT_EQ(gone(asked), "b1");
}

TEST(RetentionTest, AnyClockCanKeepABackup) {
  auto asked = question(10, {backup("b1", 1), backup("b2", 2), backup("b3", 8), backup("b4", 9)});
  // The server was years behind when b2 was taken; the store was not.
  asked.backups[1].stamps = {day(-900), day(8)};
  EXPECT_EQ(gone(asked), "");
  EXPECT_EQ(wal_from(asked), 1001U);
  // All were behind: it was taken after one that is known to be young.
  asked = question(10, {backup("b1", 1), backup("b2", 5), backup("b3", 8), backup("b4", 9)});
  asked.backups[2].stamps = {day(-900)};
  EXPECT_EQ(gone(asked), "");
  EXPECT_EQ(wal_from(asked), 1001U);
}

TEST(RetentionTest, AStampFromTheFutureDoesNotKeepEverythingForEver) {
  auto asked = question(20, {backup("b1", 1), backup("b2", 2), backup("b3", 3), backup("b4", 19)});
  asked.backups[1].stamps = {day(1400), day(2)};
  EXPECT_EQ(gone(asked), "b1 b2");
  asked.backups[1].stamps = {day(1400)};
  EXPECT_EQ(gone(asked), "b1 b2") << "the next one says how old it is at most";
}

TEST(RetentionTest, AJumpOfEveryClockLeavesAsManyAsTheRetentionHolds) {
  EXPECT_EQ(keep_at_least(7, 24), 7U);
  EXPECT_EQ(keep_at_least(1, 730), 1U);
  EXPECT_EQ(keep_at_least(3, 7), 11U);
  std::vector<RetainedBackup> backups;
  for (int i = 1; i <= 10; ++i) backups.push_back(backup("b" + std::to_string(i), i));
  backups.push_back(backup("manual", 9.5));
  backups.back().counts = false;
  auto asked = question(1000, std::move(backups));
  asked.keep_at_least = keep_at_least(7, 24);
  EXPECT_EQ(gone(asked), "b1 b2 b3 manual");
  EXPECT_EQ(wal_from(asked), 4001U);
}

/// One that a schedule made.
RetainedBackup run_of(const std::string& id, double taken, KeepRule keep, const std::string& schedule = "s") {
  RetainedBackup result = backup(id, taken);
  result.counts = false;
  result.schedule_id = schedule;
  result.keep = keep;
  return result;
}

TEST(RetentionTest, AScheduleKeepsItsNewestOnesWhateverTheServiceKeeps) {
  const KeepRule two{.count = 2};
  auto asked = question(40, {run_of("r1", 1, two), run_of("r2", 10, two), run_of("r3", 20, two), backup("b1", 32),
                             run_of("r4", 39, two), backup("b2", 39.5)});
  EXPECT_EQ(gone(asked), "r1 r2") << "twenty days old, and kept";
  EXPECT_EQ(reason(asked, "r2"), "its schedule keeps the newest 2");
  EXPECT_EQ(reason(asked, "r3"), "its schedule keeps it");
  EXPECT_EQ(wal_from(asked), 32001U) << "what stays for its schedule's sake needs no more WAL than its own";
  asked.backups[4].confirmed = false;
  EXPECT_EQ(gone(asked), "r1") << "only confirmed ones count";
  asked.backups[1].pinned = true;
  asked.backups[0].newer_elsewhere = 0;
  asked.backups[2].newer_elsewhere = 2;
  EXPECT_EQ(gone(asked), "r1 r3") << "two have been taken in another place since";
}

TEST(RetentionTest, SchedulesAreCountedEachByItself) {
  const KeepRule one{.count = 1};
  const auto asked = question(40, {run_of("r1", 1, one, "s"), run_of("q1", 2, one, "q"), run_of("r2", 3, one, "s"),
                                   backup("b1", 32), backup("b2", 39)});
  EXPECT_EQ(gone(asked), "r1");
}

TEST(RetentionTest, AScheduleKeepsForSoManyDays) {
  const KeepRule month{.days = 30};
  auto asked = question(40, {run_of("r1", 9, month), run_of("r2", 11, month), backup("b1", 32), backup("b2", 39)});
  EXPECT_EQ(gone(asked), "r1");
  EXPECT_EQ(reason(asked, "r1"), "it is older than the 30 days that its schedule keeps");
  const KeepRule day{.days = 1};
  asked = question(40, {backup("b1", 32), run_of("r1", 38, day), run_of("r2", 38.5, day), backup("b2", 39.5)});
  EXPECT_EQ(gone(asked), "r1 r2") << "younger than what the service keeps";
  asked = question(40, {run_of("r1", 1, {.count = 3, .days = 30}), run_of("r2", 12, {.count = 1, .days = 30}),
                        run_of("r3", 13, {.count = 1, .days = 30}), backup("b1", 32), backup("b2", 39)});
  EXPECT_EQ(gone(asked), "r1 r2") << "either limit ends it";
}

TEST(RetentionTest, NoRuleOfAScheduleTouchesTheWindowOrTheLastGoodBackup) {
  const KeepRule one{.count = 1};
  auto asked = question(10, {run_of("r1", 1, one), run_of("r2", 2, one), run_of("r3", 4, one), run_of("r4", 9, one)});
  EXPECT_EQ(gone(asked), "r1 r3");
  EXPECT_EQ(reason(asked, "r2"), "the recovery window of 7 days begins with it");
  EXPECT_EQ(wal_from(asked), 2001U);
  EXPECT_EQ(deletion_obstacle(asked, "r2"), "the recovery window of 7 days begins with it");
  asked.enabled = false;
  EXPECT_EQ(gone(asked), "") << "nothing newer comes";
  asked = question(400, {run_of("r1", 1, {.days = 2})});
  EXPECT_EQ(gone(asked), "");
  EXPECT_EQ(reason(asked, "r1"), "it is the newest confirmed backup");
}

TEST(RetentionTest, AServerWhoseClockRanAheadPutsNothingBehindItsSuccessors) {
  auto asked = after_a_switch(40);
  for (const auto& [id, taken, ahead] :
       {std::tuple("s1", 9.8, 0.5), std::tuple("s2", 10.1, 0.0), std::tuple("s3", 10.2, 0.0)}) {
    RetainedBackup run = run_of(id, taken, {.count = 2});
    if (ahead == 0) run.instance_id = "b";
    run.stamps = {day(taken + ahead), day(taken), day(taken)};
    asked.backups.push_back(run);
  }
  asked.backups.push_back(of_b("b1", 39));
  EXPECT_EQ(gone(asked), "a1 a2 a3 s1");
}

/// A service of which everything happens at random for three months of hours.
class World {
 public:
  explicit World(unsigned seed, bool schedules = false) : random_(seed), schedules_(schedules) {
    asked_.instances = {{.id = "a"}};
  }

  void step() {
    now_ += hours(1);
    if (now_ >= next_) {
      next_ = now_ + hours(kInterval);
      take(true);
    }
    if (chance(100)) take(false);
    for (const Rule& rule : kRules) {
      if (schedules_ && now_.time_since_epoch() % hours(rule.every) == hours(0)) take(false, &rule);
    }
    if (chance(700)) switch_over();
    if (chance(300)) skew_ = chance(2) ? hours(0) : hours(static_cast<int>(random_() % 40000)) - hours(20000);
    prune();
  }
  /// Every time of the last week, since the first confirmed backup, has a base and the WAL after it.
  void check() const {
    for (core::Timestamp time = now_ - days(kRetention); time <= now_; time += hours(5)) {
      if (first_confirmed_ && time >= *first_confirmed_) EXPECT_TRUE(reachable(time)) << core::format_time(time);
    }
  }
  /// What each schedule promises is there, and not much more.
  void check_schedules() const {
    for (const Rule& rule : kRules) {
      std::vector<const Kept*> mine;
      for (const Kept& one : kept_) {
        if (one.seen.schedule_id == rule.id) mine.push_back(&one);
      }
      const auto extra = std::ranges::count_if(mine, [&](const Kept* one) {
        return one->seen.confirmed && !one->seen.pinned && !one->seen.expires_at && !is_promised(rule, *one, mine);
      });
      // Where the window begins, the newest confirmed one, and what nothing newer follows. Once a clock that runs ahead
      // is believed, what it stamped is younger to the rule than it is, and stays the longer.
      if (asked_.instances.size() == 1 && !ran_ahead_) EXPECT_LE(extra, 2) << rule.id;
    }
  }
  [[nodiscard]] std::size_t scheduled() const {
    return static_cast<std::size_t>(std::ranges::count_if(kept_, [](const Kept& b) { return b.seen.counts; }));
  }

 private:
  struct Rule {
    std::string_view id;
    int every;
    KeepRule keep;
  };
  static constexpr Rule kRules[] = {
      {"often", 3, {.count = 4}}, {"daily", 24, {.count = 30, .days = 20}}, {"weekly", 168, {.days = 60}}};
  static constexpr int kInterval = 12;
  static constexpr int kRetention = 7;
  struct Kept {
    RetainedBackup seen;
    core::Timestamp taken;
  };
  bool chance(unsigned one_in) { return random_() % one_in == 0; }

  /// By its rule, told by when it was really taken.
  template <typename Others>
  [[nodiscard]] bool is_promised(const Rule& rule, const Kept& backup, const Others& others) const {
    const auto newer = std::ranges::count_if(others, [&](const auto& other) {
      const Kept& one = *other;
      return one.seen.confirmed && one.taken > backup.taken;
    });
    if (rule.keep.count > 0 && newer >= rule.keep.count) return false;
    return rule.keep.days == 0 || backup.taken > now_ - days(rule.keep.days);
  }

  void take(bool scheduled, const Rule* rule = nullptr) {
    RetainedBackup backup;
    if (rule != nullptr) {
      backup.schedule_id = rule->id;
      backup.keep = rule->keep;
    }
    backup.id = std::to_string(++count_);
    backup.instance_id = asked_.instances.back().id;
    backup.counts = scheduled;
    backup.confirmed = !chance(4);
    backup.pinned = !scheduled && chance(4);
    if (!scheduled && chance(4)) backup.expires_at = now_ + hours(random_() % 400);
    // The server's clock may be anywhere; those of Backstay and of the store are right.
    backup.stamps = {now_ + skew_, now_, now_};
    ran_ahead_ = ran_ahead_ || (skew_ > hours(0) && skew_ < days(100));
    backup.timeline = 1;
    backup.start_lsn = lsn_at(now_);
    backup.stop_lsn = backup.start_lsn + 1;
    if (backup.confirmed && !first_confirmed_) first_confirmed_ = now_;
    kept_.push_back({backup, now_});
  }
  void switch_over() {
    asked_.instances.back().served_until = now_;
    asked_.instances.push_back({.id = asked_.instances.back().id + "'"});
    // A recovered service takes a backup at once; the time until then is not within reach.
    take(true);
    kept_.back().seen.confirmed = true;
  }
  void prune() {
    asked_.now = {now_, now_ + minutes(random_() % 50)};
    asked_.keep_at_least = keep_at_least(kRetention, kInterval);
    asked_.backups.clear();
    for (const Kept& backup : kept_) asked_.backups.push_back(backup.seen);
    const RetentionDecision decision = decide_retention(asked_);
    for (const WalVerdict& wal : decision.wal) {
      std::uint64_t& from = wal_from_[wal.instance_id];
      from = std::max(from, wal.from ? wal.from->lsn : UINT64_MAX);
    }
    const bool any = std::ranges::any_of(decision.backups, &BackupVerdict::goes);
    const auto before = any ? kept_ : std::vector<Kept>();
    std::erase_if(kept_, [&](const Kept& backup) {
      const auto verdict = std::ranges::find(decision.backups, backup.seen.id, &BackupVerdict::backup_id);
      if (verdict->goes) EXPECT_FALSE(backup.seen.pinned);
      return verdict->goes && check_gone(backup, before);
    });
  }
  /// True; what its schedule promised does not go, but for an expiry of its own.
  [[nodiscard]] bool check_gone(const Kept& gone, const std::vector<Kept>& before) const {
    const auto rule = std::ranges::find(kRules, gone.seen.schedule_id, &Rule::id);
    if (rule == std::end(kRules) || !gone.seen.confirmed || gone.seen.expires_at) return true;
    std::vector<const Kept*> others;
    for (const Kept& one : before) {
      if (one.seen.schedule_id == rule->id) others.push_back(&one);
    }
    EXPECT_FALSE(is_promised(*rule, gone, others)) << gone.seen.id << " of " << rule->id;
    return true;
  }
  [[nodiscard]] bool reachable(core::Timestamp time) const {
    const auto serving = std::ranges::find_if(asked_.instances, [&](const auto& instance) {
      return !instance.served_until || *instance.served_until > time;
    });
    return std::ranges::any_of(kept_, [&](const Kept& backup) {
      const auto from = wal_from_.find(serving->id);
      return backup.seen.confirmed && backup.seen.instance_id == serving->id && backup.taken <= time &&
             (from == wal_from_.end() || from->second <= backup.seen.start_lsn);
    });
  }
  static std::uint64_t lsn_at(core::Timestamp time) {
    return static_cast<std::uint64_t>((time - kStart) / std::chrono::seconds(1));
  }

  std::mt19937 random_;
  bool schedules_;
  core::Timestamp now_ = kStart;
  core::Timestamp next_ = kStart + hours(1);
  core::Duration skew_{};
  bool ran_ahead_ = false;
  int count_ = 0;
  std::optional<core::Timestamp> first_confirmed_;
  RetentionQuestion asked_;
  std::vector<Kept> kept_;
  std::map<std::string, std::uint64_t> wal_from_;
};

TEST(RetentionTest, NoTimeOfTheWindowIsEverLost) {
  const unsigned seed = core::testing::seed();
  for (unsigned run = 0; run < 8; ++run) {
    World world(seed + run);
    for (int hour = 0; hour < 24 * 90; ++hour) {
      world.step();
      if (hour % 7 == 0) world.check();
      ASSERT_FALSE(HasFailure()) << "seed " << seed + run << ", hour " << hour;
    }
    EXPECT_LT(world.scheduled(), 60U) << "what is not needed goes";
  }
}

TEST(RetentionTest, EverySchedulePromiseHoldsBesideTheWindow) {
  const unsigned seed = core::testing::seed();
  for (unsigned run = 0; run < 2; ++run) {
    World world(seed + run, true);
    for (int hour = 0; hour < 24 * 50; ++hour) {
      world.step();
      if (hour % 7 == 0) {
        world.check();
        world.check_schedules();
      }
      ASSERT_FALSE(HasFailure()) << "seed " << seed + run << ", hour " << hour;
    }
  }
}

RetainedBackup dump(const std::string& id, double taken) {
  RetainedBackup result = backup(id, taken);
  result.mechanism = BackupMechanism::kLogical;
  result.timeline = 0;
  result.start_lsn = result.stop_lsn = 0;
  return result;
}

TEST(RetentionTest, ADumpMakesNoPhysicalBackupYounger) {
  auto asked = question(30, {backup("b1", 10), backup("b2", 20), backup("b3", 29), dump("d1", 30), dump("d2", 12)});
  EXPECT_EQ(gone(asked), "b1 d2");
  EXPECT_EQ(wal_from(asked), 20001U);
  asked.backups[3].stamps = {day(900)};
  EXPECT_EQ(gone(asked), "b1 d2") << "one whose time no clock tells stays itself";
}

TEST(RetentionTest, ADumpIsNoBackupOfTheInstanceThatServes) {
  auto asked = after_a_switch(40);
  asked.backups.push_back(dump("d1", 12));
  asked.backups.back().instance_id = "b";
  EXPECT_EQ(gone(asked), "");
  EXPECT_EQ(reason(asked, "a1"), "the instance that serves has no confirmed backup yet");
  EXPECT_TRUE(decide_retention(asked).wal.empty());
  asked.backups.push_back(of_b("b1", 39));
  EXPECT_EQ(gone(asked), "a1 a2 d1") << "the window of seven days begins on the instance before";
  EXPECT_EQ(wal_from(asked), 9001U);
}

TEST(RetentionTest, AmongDumpsAloneTheNewestCounts) {
  auto asked = question(30, {dump("d1", 1), dump("d2", 2)});
  EXPECT_EQ(gone(asked), "d1");
  EXPECT_EQ(reason(asked, "d2"), "it is the newest confirmed backup");
}

TEST(RetentionTest, AnOwnerMayDeleteWhatNothingRestsOn) {
  auto asked = question(10, {backup("b1", 1), backup("b2", 2), backup("b3", 4), backup("b4", 9)});
  const auto obstacle = [&](const std::string& id) { return deletion_obstacle(asked, id).value_or(""); };
  EXPECT_EQ(obstacle("b1"), "");
  EXPECT_EQ(obstacle("b2"), "the recovery window of 7 days begins with it");
  EXPECT_EQ(obstacle("b3"), "") << "times after it are reached from the one before";
  EXPECT_EQ(obstacle("b4"), "");
  EXPECT_EQ(obstacle("unknown"), "");
  asked.backups[2].pinned = true;
  EXPECT_EQ(obstacle("b3"), "it is pinned");
  asked.backups[3].state = BackupState::kRunning;
  EXPECT_EQ(obstacle("b4"), "it is being taken");
  asked.instances[0].held_by = "'copy' is being recovered from it";
  EXPECT_EQ(obstacle("b1"), "'copy' is being recovered from it");
}

TEST(RetentionTest, TheLastGoodBackupIsNotTheOwnersToDelete) {
  auto asked = question(10, {backup("b1", 1), backup("b2", 9)});
  asked.instances[0].continuous = false;
  EXPECT_EQ(deletion_obstacle(asked, "b1"), std::nullopt);
  asked.backups[0].confirmed = false;
  EXPECT_EQ(deletion_obstacle(asked, "b2"), "it is the last good backup");
  EXPECT_EQ(deletion_obstacle(asked, "b1"), std::nullopt) << "it was never read back";
  asked.deleted = true;
  asked.expires_at = day(12);
  EXPECT_EQ(deletion_obstacle(asked, "b2"), std::nullopt) << "nobody promised to keep what was deleted";
}

/// Days 1 to 3 at a place that the service has left; backups `there` are at its present one.
RetentionQuestion left_place(double now, std::vector<RetainedBackup> there) {
  auto asked = question(now, {backup("l1", 1), backup("l2", 2), backup("l3", 3)});
  asked.keep_at_least = 7;
  asked.covered_since = covered_since(question(now, std::move(there)), asked);
  return asked;
}

TEST(RetentionTest, APlaceThatWasLeftGoesOnceThePresentOneCoversTheRetention) {
  EXPECT_EQ(gone(left_place(9, {})), "") << "its last good one stays while there is no other";
  EXPECT_EQ(gone(left_place(10.9, {backup("p1", 4)})), "") << "a time before the first one there is still promised";
  const auto covered = left_place(11.1, {backup("p1", 4), backup("p2", 5)});
  EXPECT_EQ(gone(covered), "l1 l2 l3");
  EXPECT_EQ(reason(covered, "l3"),
            "it is older than 7 days, and newer ones are confirmed where the service's backups go now");
  const auto decision = decide_retention(covered);
  EXPECT_TRUE(decision.finished);
  ASSERT_EQ(decision.wal.size(), 1U);
  EXPECT_FALSE(decision.wal[0].from) << "all of it";
}

TEST(RetentionTest, APlaceThatWasLeftKeepsWhatItsOwnerWantsToKeep) {
  auto asked = left_place(11.1, {backup("p1", 4)});
  asked.backups[0].pinned = true;
  asked.backups[1].expires_at = day(40);
  EXPECT_EQ(gone(asked), "l3");
  asked.enabled = false;
  EXPECT_EQ(gone(asked), "") << "nothing newer comes";
  EXPECT_FALSE(decide_retention(asked).finished);
  asked.enabled = true;
  asked.instances[0].held_by = "a recovery reads it";
  EXPECT_EQ(gone(asked), "");
}

TEST(RetentionTest, OnlyWhatIsNewerAndGoodCoversAPlaceThatWasLeft) {
  auto unconfirmed = backup("p1", 4);
  unconfirmed.confirmed = false;
  auto dump = backup("p2", 4);
  dump.mechanism = BackupMechanism::kLogical;
  EXPECT_EQ(gone(left_place(20, {backup("p0", 2.5), unconfirmed, dump})), "") << "from before it came here";
  auto asked = question(20, {backup("l1", 1)});
  asked.backups[0].state = BackupState::kRunning;
  EXPECT_FALSE(covered_since(question(20, {backup("p1", 4)}), asked)) << "something is on its way there still";
}

TEST(RetentionTest, ABackupThatStandsAloneCoversNoPlaceThatWasLeft) {
  auto alone = backup("p1", 4);
  alone.stands_alone = true;
  EXPECT_EQ(gone(left_place(20, {alone})), "") << "no time after it is within reach there";
  const auto moved = [&](double now) { return left_place(now, {alone, backup("p2", 7)}); };
  EXPECT_EQ(moved(11.1).covered_since, day(7)) << "when the service moved";
  EXPECT_EQ(gone(moved(11.1)), "") << "the times between the two are promised still";
  EXPECT_FALSE(decide_retention(moved(11.1)).finished);
  EXPECT_EQ(wal_from(moved(11.1)), moved(11.1).backups[0].start_lsn);
  EXPECT_EQ(gone(moved(14.1)), "l1 l2 l3");
}

TEST(RetentionTest, APlaceWhereAnInstanceServedWithinTheRetentionIsNotLeft) {
  auto asked = left_place(11.1, {backup("p1", 4)});
  asked.instances[0].served_until = day(5);
  EXPECT_EQ(gone(asked), "") << "its log reaches up to then";
  asked.instances[0].served_until = day(3.5);
  EXPECT_EQ(gone(asked), "l1 l2 l3");
}

TEST(RetentionTest, TheLastGoodOneAtAPlaceThatWasLeftMayBeDeletedThen) {
  auto last = question(12, {backup("l1", 1)});
  EXPECT_EQ(deletion_obstacle(last, "l1"), "it is the last good backup");
  last.covered_since = covered_since(question(12, {backup("p1", 4)}), last);
  EXPECT_EQ(deletion_obstacle(last, "l1"), std::nullopt);
}

}  // namespace
}  // namespace backstay::model
