// The main job on each major: backup, WAL, a point in time, and all of it back. No client programs: SQL is the judge.
#include <gtest/gtest.h>

#include "backup/incremental_facts.h"
#include "backup/testing/archive_fixture.h"
#include "os/file_system.h"

namespace backstay::backup {
namespace {

using testing::ArchiveFixture;

constexpr auto kDeadline = std::chrono::seconds(60);

/// Of everything that a file of a cluster can be: several forks and segments of the catalogue, values that are stored
/// out of line, a table that is not logged, a database that was copied file by file.
constexpr auto kContent = R"(
CREATE EXTENSION pg_trgm;
CREATE EXTENSION amcheck;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE parts (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT '2026-01-02', m mood, j jsonb, v text COLLATE "C")
  PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1500);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1500) TO (MAXVALUE);
INSERT INTO parts (m, j, v) SELECT 'high', jsonb_build_object('n', g), md5(g::text) FROM generate_series(1, 4000) g;
CREATE INDEX words ON parts_1 USING gin (v gin_trgm_ops);
CREATE TABLE wide AS SELECT g AS id, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 400) i) AS v
  FROM generate_series(1, 40) g;
ALTER TABLE wide ADD CHECK (length(v) > 10), ADD UNIQUE (id);
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * i';
CREATE VIEW evens AS SELECT twice(id) AS id FROM wide;
CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS a;
SELECT lo_from_bytea(4711, decode(repeat('abcd', 5000), 'hex'));
)";

class MajorsTest : public ArchiveFixture, public ::testing::WithParamInterface<int> {
 protected:
  MajorsTest() : cluster_({.extra_config = {}, .major = GetParam()}) {
    installation_ = &cluster_.installation();
    const auto text = files_.read_file(BACKSTAY_SOURCE_DIR "/tests/support/content.sql");
    content_query_ = core::as_text(text);
  }

  [[nodiscard]] static std::vector<std::string> lines(const postgres::Rows& rows) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      all.push_back(rows.text(i, 0) + '|' + rows.text(i, 1) + '|' + rows.text(i, 2));
    }
    return all;
  }
  void expect_sound(const testing::RecoveredServer& server) const {
    const auto rows = server.query(
        "SELECT count(*), count(public.bt_index_check(c.oid, true)::text) FROM pg_class c JOIN pg_am a ON a.oid = "
        "relam "
        "JOIN pg_index i ON indexrelid = c.oid WHERE amname = 'btree' AND relkind = 'i' AND relpersistence = 'p' AND "
        "indisvalid");
    EXPECT_GT(rows.integer(0, 0), 100);
    const auto damaged = server.query(
        "SELECT c.relname, v.msg FROM pg_class c, LATERAL public.verify_heapam(c.oid) v WHERE relkind IN ('r', 't', "
        "'m') "
        "AND relpersistence = 'p'");
    EXPECT_TRUE(damaged.empty()) << damaged.text(0, 0) << ": " << damaged.text(0, 1);
  }
  core::Timestamp server_now() {
    return core::Timestamp(core::Duration(
        cluster_.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").integer(0, 0)));
  }

  postgres::testing::TestCluster cluster_;
  std::string content_query_;
};

TEST_P(MajorsTest, ComesBackAsItWasAtATime) {
  const auto instance = add_instance(cluster_);
  cluster_.connect().execute(kContent);
  const auto receiver = receive(instance, cluster_.target());
  const auto backup = take_backup(instance, cluster_, &**receiver);
  EXPECT_TRUE(backup.postgres_version.starts_with(std::to_string(GetParam()) + '.')) << backup.postgres_version;
  cluster_.connect().execute("UPDATE wide SET v = v || 'after' WHERE id % 2 = 0; DELETE FROM parts WHERE id % 7 = 0");
  cluster_.query("CREATE TABLE later AS SELECT g FROM generate_series(1, 1000) g");
  cluster_.query("CREATE DATABASE copied STRATEGY file_copy");
  cluster_.query("VACUUM (FREEZE) parts");
  const auto before = lines(cluster_.server().connect("postgres").query(content_query_));
  ASSERT_GT(before.size(), 40U);
  const auto time = server_now();
  cluster_.connect().execute("DROP TABLE wide CASCADE; DELETE FROM parts; DROP TABLE later; SELECT lo_unlink(4711)");
  ASSERT_TRUE((*receiver)->send_all(kDeadline, {}));

  WalArchive archive(*repository_, instance);
  const auto plan = archive.plan(ToTime{time}, clock_.now(), (*receiver)->status().proven_end);
  const auto recovered = recover_to(plan, "recovered");
  EXPECT_EQ(lines(recovered->query(content_query_)), before);
  EXPECT_EQ(recovered->query("SELECT count(*) FROM pg_class", "copied").size(), 1U);
  EXPECT_EQ(recovered->query("SELECT count(*) FROM public.fleeting").integer(0, 0), 0);
  EXPECT_EQ(recovered->query("SHOW data_checksums").text(0, 0), "on");
  expect_sound(*recovered);
}

TEST_P(MajorsTest, AnIncrementalBackupComesBackAsItWas) {
  const auto instance = add_instance(cluster_);
  cluster_.connect().execute(kContent);
  const auto receiver = receive(instance, cluster_.target());
  const auto full = take_backup(instance, cluster_, &**receiver);
  cluster_.connect().execute(
      "UPDATE wide SET v = v || 'after' WHERE id % 2 = 0; DELETE FROM parts WHERE id % 7 = 0; DROP FUNCTION twice "
      "CASCADE; CREATE TABLE later AS SELECT g FROM generate_series(1, 1000) g; TRUNCATE parts_2");
  cluster_.query("CREATE DATABASE copied STRATEGY file_copy");
  cluster_.query("VACUUM (FREEZE) parts");
  const auto incremental = take_backup(instance, cluster_, &**receiver);
  EXPECT_EQ(facts_of(incremental).base, full.backup) << facts_of(incremental).mismatch;
  EXPECT_GT(facts_of(incremental).kept_pages, 500U);
  const auto before = lines(cluster_.server().connect("postgres").query(content_query_));
  cluster_.query("DROP TABLE wide CASCADE");
  WalArchive archive(*repository_, instance);
  const auto recovered = recover_to(archive.plan(ToBackup{incremental.backup}, clock_.now()), "recovered");
  EXPECT_EQ(lines(recovered->query(content_query_)), before);
  expect_sound(*recovered);
}

INSTANTIATE_TEST_SUITE_P(Postgres, MajorsTest, ::testing::ValuesIn(postgres::testing::kTestMajors),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace backstay::backup
