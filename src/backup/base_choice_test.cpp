// Which earlier backup a new one is taken upon, and why none is.
#include "backup/base_choice.h"

#include <gtest/gtest.h>

#include "backup/incremental_facts.h"
#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

class BaseChoiceTest : public repository::testing::RepositoryFixture {
 protected:
  repository::BackupRecord record(std::uint64_t start) {
    repository::BackupRecord record;
    record.backup = random_.uuid();
    record.instance = kInstance;
    record.system_identifier = 7;
    record.timeline = 1;
    record.start_lsn = start;
    record.stop_lsn = start + 10;
    record.start_time = clock_.now() + std::chrono::hours(start);
    record.stop_time = record.start_time;
    put_facts(record, {.full_time = record.start_time, .checksums = true});
    return record;
  }
  std::string store(const repository::BackupRecord& record) {
    repository_->put_backup(record);
    return record.backup;
  }
  BaseChoice choose(const BaseRules& rules = {}, bool checksums = true) {
    return choose_base(*repository_, record(100), checksums, rules);
  }
};

TEST_F(BaseChoiceTest, TheNewestThatNothingWasFoundAgainst) {
  EXPECT_EQ(choose().reason, "no earlier backup is in the store");
  store(record(10));
  const auto good = store(record(20));
  auto dump = record(60);
  dump.mechanism = "logical";
  store(dump);
  auto broken = record(10);
  broken.problem = "an object is missing";
  store(broken);
  const auto condemned = store(record(30));
  repository_->put_sealed(repository::condemned_name(kInstance, condemned), core::as_bytes("{}"));
  ASSERT_TRUE(choose().base) << choose().reason;
  EXPECT_EQ(choose().base->backup, good);
  EXPECT_EQ(choose().reason, "");
}

TEST_F(BaseChoiceTest, DamageThatWasFoundIsNotBuiltUponThroughAnotherBackup) {
  const auto first = record(10);
  store(first);
  auto second = record(20);
  put_facts(second, {.base = first.backup, .depth = 1, .full_time = first.start_time, .checksums = true});
  store(second);
  ASSERT_TRUE(choose().base);
  const auto refused_with = [&](repository::BackupRecord changed, const std::string& found, bool by_restore) {
    (by_restore ? changed.restore_problem : changed.problem) = found;
    store(changed);
    const auto choice = choose();
    EXPECT_FALSE(choice.base) << changed.backup;
    return choice.reason;
  };
  const std::string reason = "something was found against the last backups, whose bytes this one would share";
  EXPECT_EQ(refused_with(second, "an object is missing", false), reason) << "the first one is no way out";
  EXPECT_EQ(refused_with(second, "it does not start", true), reason);
  store(second);
  EXPECT_EQ(refused_with(first, "an object is missing", false), reason) << "what the second one rests on";
  const auto full = store(record(30));
  ASSERT_TRUE(choose().base) << "the next full one shares nothing with them";
  EXPECT_EQ(choose().base->backup, full);
}

TEST_F(BaseChoiceTest, WhatMakesABackupAFullOne) {
  auto last = record(20);
  const auto refused = [&](const BaseRules& rules = {}, bool checksums = true) {
    store(last);
    const auto choice = choose(rules, checksums);
    EXPECT_FALSE(choice.base);
    return choice.reason;
  };
  EXPECT_EQ(refused({}, false), "page checksums were turned on or off since the last backup");
  EXPECT_EQ(refused({.oldest_full = std::chrono::days(3)}), "the last full backup is older than 3 days");
  EXPECT_EQ(refused({.most_incrementals = 0}), "0 incremental backups were taken since the last full one");
  put_facts(last, {.base = random_.uuid(), .depth = 5, .full_time = last.start_time, .checksums = true});
  EXPECT_EQ(refused({.most_incrementals = 5}), "5 incremental backups were taken since the last full one");
  last.pages_failed = 1;
  EXPECT_EQ(refused(), "the last backup holds damaged pages");
  last.pages_failed = 0;
  last.system_identifier = 8;
  EXPECT_EQ(refused(), "the last backup is of another cluster");
  last.system_identifier = 7;
  last.start_lsn = 100;
  EXPECT_EQ(refused(), "the last backup is of a later state than the server's");
  last.start_lsn = 20;
  last.details.clear();
  EXPECT_EQ(refused(), "the last backup was taken by a version that took full ones only");
}

TEST_F(BaseChoiceTest, FactsComeBackFromTheRecord) {
  auto stored = record(20);
  const IncrementalFacts facts{.base = random_.uuid(),
                               .depth = 3,
                               .full_time = clock_.now(),
                               .read_bytes = std::uint64_t{1} << 60,
                               .kept_pages = 12,
                               .reason = "why",
                               .mismatch = "what",
                               .checksums = true};
  put_facts(stored, facts);
  store(stored);
  const auto found = facts_of(*repository_->backup(kInstance, stored.backup));
  EXPECT_EQ(found.base, facts.base);
  EXPECT_EQ(found.depth, 3U);
  EXPECT_EQ(found.full_time, facts.full_time);
  EXPECT_EQ(found.read_bytes, facts.read_bytes);
  EXPECT_EQ(found.kept_pages, 12U);
  EXPECT_EQ(found.reason, "why");
  EXPECT_EQ(found.mismatch, "what");
  EXPECT_TRUE(found.checksums);
}

}  // namespace
}  // namespace backstay::backup
