// Verifying dumps: loaded into a server that is thrown away, dumped again, and compared.
#include <algorithm>

#include <gmock/gmock.h>

#include "backup/confirm.h"
#include "backup/dump.h"
#include "backup/testing/archive_fixture.h"
#include "backup/verify_restore.h"
#include "core/error.h"

namespace backstay::backup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kShop = R"(
SET ROLE app;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text, feel mood, at timestamptz DEFAULT now());
INSERT INTO orders (note) SELECT repeat(md5(g::text), 1 + g % 60) FROM generate_series(1, 3000) g;
UPDATE orders SET feel = 'ok' WHERE id % 7 = 0;
CREATE INDEX orders_note ON orders (md5(note));
CREATE TABLE parent (a int, b text);
CREATE TABLE child (extra bytea, b text, a int CHECK (a IN (1, 2)));
ALTER TABLE child INHERIT parent;
INSERT INTO child VALUES ('\x00ff', E'tab\t and \\. and\nline', 1);
CREATE TABLE part (day date) PARTITION BY RANGE (day);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
INSERT INTO part SELECT date '2026-01-01' + g FROM generate_series(0, 30) g;
CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM orders;
CREATE VIEW odd AS SELECT id FROM orders WHERE note IN ('a', 'b');
SELECT lo_from_bytea(4711, 'a large object');
RESET ROLE;
CREATE SCHEMA tools;
CREATE EXTENSION pageinspect SCHEMA tools;
CREATE EXTENSION pg_trgm;
CREATE INDEX orders_words ON orders USING gin (note gin_trgm_ops);
CREATE ROLE "the old owner";
CREATE TABLE theirs AS SELECT 1 AS id;
ALTER TABLE theirs OWNER TO "the old owner";
ALTER SCHEMA public OWNER TO app;
COMMENT ON SCHEMA public IS 'ours';
ALTER DATABASE shop SET timezone = 'Asia/Kathmandu';
ALTER DATABASE shop SET bytea_output = 'escape';
)";

class VerifyDumpTest : public testing::ArchiveFixture {
 protected:
  VerifyDumpTest() : instance_(add_instance(cluster_)) {
    cluster_.query("CREATE ROLE app");
    cluster_.query("CREATE DATABASE shop OWNER app");
    cluster_.connect("shop").execute(kShop);
  }
  repository::BackupRecord dump() {
    const DumpRequest wanted{.repository = *repository_,
                             .instance = instance_,
                             .backup_id = random_.uuid(),
                             .connection = cluster_.target("shop"),
                             .installation = cluster_.installation(),
                             .identity = cluster_.identity(),
                             .scratch = {.parent = directory_.path() / "dumps", .reserve = 1U << 20}};
    return take_dump(environment_, wanted, nullptr, {});
  }
  VerifyRestoreRequest request(const std::string& backup) {
    VerifyRestoreRequest wanted{.repository = *repository_,
                                .instance = instance_,
                                .backup_id = backup,
                                .scratch = {.parent = parent()},
                                .installation = cluster_.installation(),
                                .identity = postgres::testing::test_identity(),
                                .launcher = launcher_};
    wanted.resources.memory_bytes = 128U << 20;
    wanted.resources.max_connections = 10;
    wanted.access.role = "app";
    wanted.access.database = "shop";
    return wanted;
  }
  [[nodiscard]] std::filesystem::path parent() const { return directory_.path() / "scratch"; }
  bool nothing_left() { return !files_.stat(parent()) || files_.list(parent()).empty(); }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
};

TEST_F(VerifyDumpTest, WhatItBecomesIsComparedInFull) {
  const auto taken = dump();
  std::vector<std::string> phases;
  const auto note = [&](const Progress& progress) {
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
  };
  const auto proof = verify_restore(environment_, request(taken.backup), note, {});
  EXPECT_THAT(proof.problems, IsEmpty());
  EXPECT_THAT(proof.checks.notes, IsEmpty());
  EXPECT_EQ(proof.checks.tables, 5U) << "orders, parent, child, part_1, theirs";
  EXPECT_EQ(proof.checks.rows_expected, 3000 + 1 + 31 + 1);
  EXPECT_EQ(proof.checks.rows_estimated, proof.checks.rows_expected);
  EXPECT_GT(proof.checks.relations, 20U);
  EXPECT_GT(*proof.recovery_time, core::Duration(0));
  const auto record = repository_->backup(instance_, taken.backup);
  EXPECT_TRUE(record->verified);
  EXPECT_EQ(record->recovery_time, proof.recovery_time);
  EXPECT_THAT(phases, ElementsAre("restore", "check", "load", "dump", "check"));
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyDumpTest, WhatNoRecoveryCouldMakeIsAFinding) {
  cluster_.connect("shop").execute(
      "SET ROLE app; CREATE TABLE late (id int); RESET ROLE; CREATE FUNCTION of_a_superuser() RETURNS trigger LANGUAGE "
      "internal AS 'suppress_redundant_updates_trigger'");
  const auto taken = dump();
  EXPECT_TRUE(confirm_backup(environment_, *repository_, instance_, taken.backup, nullptr, {}).ok());
  const auto proof = verify_restore(environment_, request(taken.backup), nullptr, {});
  EXPECT_THAT(proof.problems, ElementsAre(HasSubstr("FUNCTION of_a_superuser()")));
  const auto record = repository_->backup(instance_, taken.backup);
  EXPECT_EQ(record->restore_problem, proof.problems.front());
  EXPECT_FALSE(repository::is_sound(*record));
  EXPECT_TRUE(nothing_left());
  EXPECT_LT(dump().stored_size, taken.stored_size / 2) << "what lies in the store is not in doubt";
}

TEST_F(VerifyDumpTest, DamageInTheStoreIsAFindingAndNoRoomIsNone) {
  const auto taken = dump();
  auto crowded = request(taken.backup);
  crowded.scratch.reserve = std::uint64_t{1} << 50;
  EXPECT_THROW(verify_restore(environment_, crowded, nullptr, {}), core::Error);
  std::stop_source stop;
  const auto stop_in_load = [&](const Progress& progress) {
    if (progress.phase == "load") stop.request_stop();
  };
  EXPECT_THROW(verify_restore(environment_, request(taken.backup), stop_in_load, stop.get_token()), core::Error);
  EXPECT_EQ(repository_->backup(instance_, taken.backup)->restore_problem, "");
  EXPECT_TRUE(nothing_left());
  for (const auto& key : memory_.keys()) {
    if (key.starts_with("packs/")) memory_.corrupt(key, 100);
  }
  EXPECT_EQ(verify_restore(environment_, request(taken.backup), nullptr, {}).problems.size(), 1U);
  EXPECT_THAT(repository_->backup(instance_, taken.backup)->problem, HasSubstr("packs/"));
  EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace backstay::backup
