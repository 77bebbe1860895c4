#include "model/verification_policy.h"

#include <gtest/gtest.h>

namespace backstay::model {
namespace {

using std::chrono::hours;

core::Timestamp at(int hour) { return core::parse_time("2026-03-01T00:00:00Z") + hours(hour); }

Backup confirmed(const std::string& id, int hour) {
  Backup backup;
  backup.id = id;
  backup.state = BackupState::kCompleted;
  backup.taken_at = at(hour);
  backup.confirmed_at = at(hour);
  return backup;
}

Backup seen(Backup backup, int hour, VerificationOutcome outcome = VerificationOutcome::kVerified) {
  backup.verification = Verification{.outcome = outcome, .at = at(hour)};
  if (outcome == VerificationOutcome::kNotRun) backup.verification->not_run_at = at(hour);
  return backup;
}

TEST(VerificationPolicyTest, FirstBackupHasItsTurnAtOnce) {
  EXPECT_EQ(next_verification({confirmed("a", 0)}, {}, at(0)).backup_id, "a");
}

Backup dump(const std::string& id, int hour) {
  auto backup = confirmed(id, hour);
  backup.mechanism = BackupMechanism::kLogical;
  return backup;
}

TEST(VerificationPolicyTest, NothingIsThereToVerify) {
  auto running = confirmed("a", 0);
  running.confirmed_at.reset();
  const auto turn = next_verification({running}, {}, at(1));
  EXPECT_EQ(turn.backup_id, "");
  EXPECT_FALSE(turn.next);
}

TEST(VerificationPolicyTest, NewestOneOnceADay) {
  const std::vector backups{seen(confirmed("a", 0), 1), confirmed("b", 20), confirmed("c", 10)};
  const auto early = next_verification(backups, {}, at(24));
  EXPECT_EQ(early.backup_id, "");
  EXPECT_EQ(early.next, at(25));
  EXPECT_EQ(next_verification(backups, {}, at(25)).backup_id, "b");
}

TEST(VerificationPolicyTest, FailureCountsAsSeen) {
  const std::vector backups{seen(confirmed("a", 0), 1, VerificationOutcome::kFailed)};
  EXPECT_EQ(next_verification(backups, {}, at(2)).next, at(25));
}

TEST(VerificationPolicyTest, WhatCouldNotRunIsTriedAgainSoon) {
  const std::vector backups{seen(confirmed("a", 0), 1, VerificationOutcome::kNotRun)};
  EXPECT_EQ(next_verification(backups, {}, at(1)).next, at(2));
  EXPECT_EQ(next_verification(backups, {}, at(2)).backup_id, "a");
}

TEST(VerificationPolicyTest, EachNthBesidesTheAge) {
  const VerificationPolicy policy{.every = hours(24), .nth = 3};
  std::vector backups{seen(confirmed("a", 0), 1), confirmed("b", 2), confirmed("c", 3)};
  EXPECT_EQ(next_verification(backups, policy, at(3)).next, at(25));
  backups.push_back(confirmed("d", 4));
  EXPECT_EQ(next_verification(backups, policy, at(4)).backup_id, "d");
}

TEST(VerificationPolicyTest, ByCountAloneOrNotAtAll) {
  const std::vector backups{confirmed("a", 0), confirmed("b", 1)};
  EXPECT_EQ(next_verification(backups, {.every = hours(0), .nth = 3}, at(99)).backup_id, "");
  EXPECT_EQ(next_verification(backups, {.every = hours(0), .nth = 2}, at(1)).backup_id, "b");
  EXPECT_FALSE(next_verification(backups, {.every = hours(0), .nth = 0}, at(99)).next);
}

TEST(VerificationPolicyTest, DumpsHaveTurnsOfTheirOwn) {
  std::vector backups{seen(confirmed("a", 0), 1), dump("b", 2)};
  EXPECT_EQ(next_verification(backups, {}, at(3)).backup_id, "b");
  backups.back() = seen(dump("b", 2), 3);
  EXPECT_EQ(next_verification(backups, {}, at(4)).next, at(25)) << "of the physical one";
  backups.push_back(dump("c", 5));
  EXPECT_EQ(next_verification(backups, {}, at(26)).backup_id, "a") << "what recoveries begin with comes first";
  backups.front() = seen(confirmed("a", 0), 26);
  EXPECT_EQ(next_verification(backups, {}, at(26)).next, at(27)) << "a day after the dump before";
  EXPECT_EQ(next_verification(backups, {}, at(27)).backup_id, "c");
}

TEST(VerificationPolicyTest, ADumpThatWasSeenToWorkIsNotLookedAtAgain) {
  const auto turn = next_verification({seen(dump("a", 0), 1)}, {}, at(99));
  EXPECT_EQ(turn.backup_id, "");
  EXPECT_FALSE(turn.next);
  EXPECT_EQ(next_verification({seen(dump("a", 0), 1, VerificationOutcome::kNotRun)}, {}, at(2)).backup_id, "a");
}

}  // namespace
}  // namespace backstay::model
