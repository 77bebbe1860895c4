// The map of changed pages beside the summaries that the server makes of its WAL itself.
#include "backup/wal_summaries.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/incremental_facts.h"
#include "backup/testing/archive_fixture.h"

namespace backstay::backup {
namespace {

constexpr int kFirstWithSummaries = 17;
constexpr auto kDeadline = std::chrono::seconds(60);

/// All that a summary has a word of its own for, and tables that come and go between two backups.
constexpr auto kChanges = R"(
UPDATE kept SET v = 'changed' WHERE id % 500 = 0;
CREATE INDEX ON kept (v);
DELETE FROM shrinks WHERE id > 10;
TRUNCATE emptied;
INSERT INTO emptied SELECT g, 'again' FROM generate_series(1, 100) g;
DROP TABLE dropped;
CREATE TABLE short_lived AS SELECT * FROM kept;
DROP TABLE short_lived;
CREATE TABLE made AS SELECT * FROM kept;
CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS a;
ALTER TABLE rewritten ALTER COLUMN id TYPE bigint;
)";

class WalSummariesTest : public testing::ArchiveFixture, public ::testing::WithParamInterface<int> {
 protected:
  void begin(const std::string& config = {}) {
    cluster_.emplace(postgres::testing::TestClusterOptions{.extra_config = config, .major = GetParam()});
    instance_ = add_instance(*cluster_);
    for (const char* table : {"kept", "shrinks", "emptied", "dropped", "rewritten"}) {
      cluster_->query(fmt::format(
          "CREATE TABLE {} AS SELECT g AS id, repeat(md5(g::text), 4) AS v FROM generate_series(1, 5000) g", table));
    }
    cluster_->query("CREATE DATABASE doomed");
    receiver_ = receive(instance_, cluster_->target());
  }
  repository::BackupRecord take(const ChangeSource& changes = {}) {
    BaseBackupRequest request{.repository = *repository_,
                              .instance = instance_,
                              .backup_id = random_.uuid(),
                              .data_directory = cluster_->paths().data(),
                              .connection = cluster_->target()};
    request.receiver = &**receiver_;
    request.changes = changes;
    request.wal_deadline = kDeadline;
    return take_base_backup(environment_, request, {}, {});
  }
  void change_all() {
    cluster_->connect().execute(kChanges);
    cluster_->query("VACUUM shrinks");
    cluster_->query("CREATE DATABASE copied STRATEGY file_copy");
    cluster_->query("CREATE DATABASE logged STRATEGY wal_log");
    cluster_->query("DROP DATABASE doomed");
    cluster_->query("CHECKPOINT");
    cluster_->query("UPDATE kept SET v = 'once more' WHERE id % 300 = 0");
  }
  /// What the server says, but for one block of `kept`.
  PageChanges all_but(std::uint32_t block, const ChangesRequest& of) {
    const auto left_out = cluster_->query("SELECT pg_relation_filenode('kept')").integer(0, 0);
    const auto rows = cluster_->query(fmt::format(
        "SELECT reltablespace, reldatabase, relfilenode, relblocknumber, is_limit_block FROM "
        "pg_available_wal_summaries() "
        "s, pg_wal_summary_contents(s.tli, s.start_lsn, s.end_lsn) WHERE start_lsn >= '{}' AND end_lsn <= '{}'",
        postgres::format_lsn(of.from.lsn), postgres::format_lsn(of.to.lsn)));
    PageChanges changes;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto number = [&](std::size_t column) { return static_cast<std::uint32_t>(rows.integer(i, column)); };
      const RelationFork fork{number(0), number(1), number(2), 0};
      if (rows.truth(i, 4)) {
        changes.note_new_from(fork, number(3));
      } else if (fork.relation != left_out || number(3) != block) {
        changes.note_block(fork, number(3));
      }
    }
    return changes;
  }

  std::optional<postgres::testing::TestCluster> cluster_;
  std::string instance_;
  std::unique_ptr<testing::RunningReceiver> receiver_;
};

/// Servers that have any.
class ServersWithWalSummariesTest : public WalSummariesTest {};

TEST_P(WalSummariesTest, TheMapHasAllThatTheServerNames) {
  begin();
  const auto full = take();
  EXPECT_EQ(facts_of(full).compared_wal, 0U);
  change_all();
  const auto incremental = take();
  const auto facts = facts_of(incremental);
  EXPECT_EQ(facts.base, full.backup) << facts.mismatch;
  if (GetParam() < kFirstWithSummaries) {
    EXPECT_EQ(facts.compared_wal, 0U);
    EXPECT_EQ(facts.not_compared, "this version of PostgreSQL keeps no summaries of its WAL");
  } else {
    EXPECT_EQ(facts.compared_wal, incremental.start_lsn - full.start_lsn);
    EXPECT_EQ(facts.not_compared, "");
  }
}

TEST_P(ServersWithWalSummariesTest, ABlockThatTheMapLacksIsFound) {
  begin();
  const auto full = take();
  cluster_->query("UPDATE kept SET v = v WHERE ctid IN ('(3,1)', '(7,1)')");
  const auto lacking = [&](std::uint32_t block) {
    return [this, block](const ChangesRequest& wanted, const std::stop_token&) {
      return CollectedChanges{.changes = all_but(block, wanted)};
    };
  };
  const auto backup = take(lacking(7));
  EXPECT_TRUE(facts_of(backup).base.empty());
  EXPECT_NE(facts_of(backup).mismatch.find("names block 7 of relation"), std::string::npos)
      << facts_of(backup).mismatch;
  EXPECT_EQ(facts_of(backup).compared_wal, 0U);
  EXPECT_EQ(repository_->backup(instance_, full.backup)->problem, "") << "nothing was found against what is stored";
  cluster_->query("UPDATE kept SET v = v WHERE ctid = '(9,1)'");
  EXPECT_EQ(facts_of(take(lacking(UINT32_MAX))).base, backup.backup) << "all is there";
}

TEST_P(ServersWithWalSummariesTest, ItIsSaidWhatWasNotCompared) {
  begin();
  const auto full = take();
  cluster_->query("UPDATE kept SET v = 'one' WHERE id % 100 = 0");
  cluster_->query("CHECKPOINT");
  const auto middle = cluster_->query("SELECT redo_lsn FROM pg_control_checkpoint()").text(0, 0);
  cluster_->query("UPDATE kept SET v = 'two' WHERE id % 100 = 1");
  cluster_->query("CHECKPOINT");
  const BranchPoint to{{1},
                       postgres::parse_lsn(cluster_->query("SELECT redo_lsn FROM pg_control_checkpoint()").text(0, 0))};
  SummaryQuestion question{.connection = cluster_->target(),
                           .data_directory = cluster_->paths().data(),
                           .from = {{1}, postgres::Lsn{full.start_lsn}},
                           .to = to};
  PageChanges all;
  all.note_unproven("everything may have changed");
  const auto compare = [&] { return compare_with_summaries(environment_, question, all, {}); };
  EXPECT_EQ(compare().compared, to.lsn.value - full.start_lsn) << compare().not_compared;
  question.largest_file = 40;
  EXPECT_NE(compare().not_compared.find(".summary' is large"), std::string::npos) << compare().not_compared;
  question.largest_file = 1U << 20;
  question.from.lsn = question.from.lsn + 8;
  const auto late = compare();
  EXPECT_EQ(late.compared, (to.lsn - postgres::parse_lsn(middle))) << "what begins before is not compared";
  EXPECT_EQ(late.not_compared, fmt::format("the server has no summaries of the WAL from {} to {}",
                                           postgres::format_lsn(question.from.lsn), middle));
}

TEST_P(ServersWithWalSummariesTest, WithoutSummariesABackupIsIncrementalAllTheSame) {
  begin("summarize_wal = off\n");
  const auto full = take();
  cluster_->query("UPDATE kept SET v = 'one' WHERE id % 100 = 0");
  const auto facts = facts_of(take());
  EXPECT_EQ(facts.base, full.backup);
  EXPECT_EQ(facts.compared_wal, 0U);
  EXPECT_NE(facts.not_compared, "");
}

TEST_P(ServersWithWalSummariesTest, WhatAFailingSummariserKeepsIsSeen) {
  begin();
  auto connection = cluster_->connect();
  const auto kept = [&] { return wal_kept_for_summaries(connection); };
  const auto comes = [&](const std::function<bool()>& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) clock_.wait({}, std::chrono::milliseconds(10));
    return condition();
  };
  EXPECT_TRUE(kept());
  cluster_->query("CHECKPOINT");
  EXPECT_TRUE(comes([&] { return kept() == 0U; }));
  const auto directory = cluster_->paths().data() / "pg_wal/summaries";
  files_.remove_all(directory);
  files_.write_file_durably(directory, core::as_bytes("no directory"), 0600);
  cluster_->query("UPDATE kept SET v = 'one'");
  cluster_->query("CHECKPOINT");
  EXPECT_GT(kept(), 100'000U);
  cluster_->query("ALTER SYSTEM SET summarize_wal = off");
  cluster_->query("SELECT pg_reload_conf()");
  EXPECT_TRUE(comes([&] { return !kept(); }));
}

INSTANTIATE_TEST_SUITE_P(Postgres, WalSummariesTest, ::testing::ValuesIn(postgres::testing::kTestMajors),
                         ::testing::PrintToStringParamName());
INSTANTIATE_TEST_SUITE_P(Postgres, ServersWithWalSummariesTest, ::testing::Values(17, 18),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace backstay::backup
