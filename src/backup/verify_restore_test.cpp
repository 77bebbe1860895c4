// Verifying backups of real servers.
#include "backup/verify_restore.h"

#include <algorithm>
#include <csignal>

#include <gmock/gmock.h>

#include "backup/testing/archive_fixture.h"
#include "core/error.h"
#include "os/user_processes.h"

namespace backstay::backup {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VerifyRestoreTest : public testing::ArchiveFixture {
 protected:
  explicit VerifyRestoreTest(int major = 0)
      : cluster_({.extra_config = {}, .major = major}), instance_(add_instance(cluster_)) {
    cluster_.query("CREATE TABLE kept (id int PRIMARY KEY, text text)");
    cluster_.query("INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(1, 20000) g");
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
    wanted.restore_helper = testing::restore_helper();
    return wanted;
  }
  [[nodiscard]] std::filesystem::path parent() const { return directory_.path() / "scratch"; }
  bool nothing_left() { return !files_.stat(parent()) || files_.list(parent()).empty(); }
  core::Code code_of(const VerifyRestoreRequest& wanted, const ProgressCallback& progress = nullptr,
                     std::stop_token stop = {}) {
    try {
      verify_restore(environment_, wanted, progress, std::move(stop));
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  }
  void write_into(const std::string& file, std::uint64_t at, std::string_view text) {
    const auto writer = files_.open_write(cluster_.paths().data() / file);
    writer->write_at(at, core::as_bytes(text));
    writer->close();
  }
  std::string file_of(const std::string& table) {
    return cluster_.query("SELECT pg_relation_filepath('" + table + "')").text(0, 0);
  }
  /// An index whose order is not that of its operators any more: no checksum can tell.
  void make_disordered_index() {
    auto connection = cluster_.connect();
    connection.execute(
        "CREATE FUNCTION compare(int4, int4) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)';"
        "CREATE OPERATOR CLASS odd_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, "
        "OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compare(int4, int4);"
        "CREATE TABLE sorted AS SELECT g AS id FROM generate_series(1, 500) g;"
        "CREATE INDEX sorted_id ON sorted (id odd_ops);"
        "CREATE OR REPLACE FUNCTION compare(int4, int4) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, "
        "$1)'");
  }
  /// Looking at the index, the last relation of its database, takes two minutes and more.
  void make_slow_index() {
    auto connection = cluster_.connect();
    connection.execute(
        "CREATE FUNCTION compare(int4, int4) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)';"
        "CREATE OPERATOR CLASS slow_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, "
        "OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compare(int4, int4);"
        "CREATE TABLE sorted AS SELECT g AS id FROM generate_series(1, 300) g;"
        "CREATE INDEX sorted_id ON sorted (id slow_ops);"
        "CREATE OR REPLACE FUNCTION compare(int4, int4) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); "
        "RETURN btint4cmp($1, $2); END'");
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
};

class VerifyRestoreMajorsTest : public VerifyRestoreTest, public ::testing::WithParamInterface<int> {
 protected:
  VerifyRestoreMajorsTest() : VerifyRestoreTest(GetParam()) {}
};

INSTANTIATE_TEST_SUITE_P(Each, VerifyRestoreMajorsTest, ::testing::ValuesIn(postgres::testing::kTestMajors));

TEST_P(VerifyRestoreMajorsTest, GoodBackupIsVerified) {
  cluster_.query("CREATE DATABASE other");
  cluster_.query("ANALYZE kept");
  cluster_.query("CREATE UNLOGGED TABLE fleeting AS SELECT * FROM kept");
  cluster_.query("CREATE INDEX fleeting_id ON fleeting (id)");
  cluster_.query("ANALYZE fleeting");
  const auto backup = take_backup(instance_, cluster_);
  std::vector<std::string> phases;
  const auto proof = verify_restore(environment_, request(backup.backup),
                                    [&](const Progress& progress) {
                                      if (phases.empty() || phases.back() != progress.phase)
                                        phases.push_back(progress.phase);
                                    },
                                    {});
  EXPECT_THAT(proof.problems, IsEmpty());
  EXPECT_THAT(proof.checks.notes, IsEmpty());
  EXPECT_EQ(proof.checks.databases, 4U);  // postgres, template0, template1, other
  EXPECT_GT(proof.checks.tables, 200U);
  EXPECT_GT(proof.checks.indexes, 400U);
  EXPECT_GE(proof.pages, backup.pages_checked * 9 / 10);
  EXPECT_NEAR(proof.checks.rows_estimated, 20000, 200);
  EXPECT_GT(*proof.first_query_time, core::Duration(0));
  EXPECT_GT(*proof.recovery_time, *proof.first_query_time);
  const auto record = repository_->backup(instance_, backup.backup);
  EXPECT_TRUE(record->verified);
  EXPECT_EQ(record->recovery_time, proof.recovery_time);
  EXPECT_EQ(record->first_query_time, proof.first_query_time);
  EXPECT_EQ(record->restore_problem, "");
  EXPECT_THAT(phases, Contains("check"));
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyRestoreTest, DamageThatAuthenticationCannotSeeIsNamed) {
  for (const std::string table : {"cut", "missing"}) {
    cluster_.query("CREATE TABLE " + table + " AS SELECT * FROM kept");
    cluster_.query("VACUUM " + table);
  }
  make_disordered_index();
  cluster_.query("CHECKPOINT");
  const auto damaged = file_of("kept");
  const auto cut = file_of("cut");
  const auto missing = file_of("missing");
  cluster_.stop();
  write_into(damaged, 3 * 8192 + 4000, "damage");
  files_.open_write(cluster_.paths().data() / cut)->truncate(5 * 8192);
  files_.remove(cluster_.paths().data() / missing);
  cluster_.start();
  const auto backup = take_backup(instance_, cluster_);
  const auto proof = verify_restore(environment_, request(backup.backup), nullptr, {});
  EXPECT_THAT(proof.problems,
              Contains("public.kept in database 'postgres': block 3 fails its checksum (file " + damaged + ")"));
  EXPECT_THAT(proof.problems, Contains(HasSubstr("public.cut in database 'postgres': it has 5 pages, at the source")));
  EXPECT_THAT(proof.problems, Contains("public.missing in database 'postgres': its file " + missing + " is missing"));
  EXPECT_THAT(proof.problems, Contains(HasSubstr("invariant violated for index \"sorted_id\"")));
  const auto record = repository_->backup(instance_, backup.backup);
  EXPECT_FALSE(record->verified);
  EXPECT_EQ(record->restore_problem, proof.problems.front());
  EXPECT_FALSE(repository::is_sound(*record));
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyRestoreTest, BackupWhoseWalIsGoneIsAFinding) {
  const auto backup = take_backup(instance_, cluster_);
  std::vector<std::string> wal;
  store_->list("", "", [&](const blob::ObjectInfo& object) {
    if (object.key.find("/wal/") != std::string::npos) wal.push_back(object.key);
    return true;
  });
  ASSERT_FALSE(wal.empty());
  store_->remove(wal);
  const auto proof = verify_restore(environment_, request(backup.backup), nullptr, {});
  ASSERT_EQ(proof.problems.size(), 1U);
  EXPECT_EQ(repository_->backup(instance_, backup.backup)->restore_problem, proof.problems.front());
  EXPECT_FALSE(proof.recovery_time);
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyRestoreTest, DamageInTheStoreIsLookedForInAllOfIt) {
  const auto backup = take_backup(instance_, cluster_);
  for (const auto& key : memory_.keys()) {
    if (key.starts_with("packs/")) memory_.corrupt(key, 100);
  }
  const auto proof = verify_restore(environment_, request(backup.backup), nullptr, {});
  EXPECT_EQ(proof.problems.size(), 1U);
  const auto record = repository_->backup(instance_, backup.backup);
  EXPECT_EQ(record->restore_problem, proof.problems.front());
  EXPECT_THAT(record->problem, HasSubstr("packs/")) << "so that nothing else is taken to be whole that has the pack";
}

TEST_F(VerifyRestoreTest, WhatSaysNothingOfTheBackupIsNoFinding) {
  const auto backup = take_backup(instance_, cluster_);
  auto crowded = request(backup.backup);
  crowded.scratch.reserve = std::uint64_t{1} << 50;
  EXPECT_EQ(code_of(crowded), core::Code::kDiskFull);
  EXPECT_EQ(code_of(request(random_.uuid())), core::Code::kNotFound);
  std::stop_source stop;
  const auto stop_at_check = [&](const Progress& progress) {
    if (progress.phase == "check") stop.request_stop();
  };
  EXPECT_EQ(code_of(request(backup.backup), stop_at_check, stop.get_token()), core::Code::kCancelled);
  store_->go_away();
  EXPECT_EQ(code_of(request(backup.backup)), core::Code::kStoreUnreachable);
  store_->come_back();
  const auto record = repository_->backup(instance_, backup.backup);
  EXPECT_FALSE(record->verified);
  EXPECT_EQ(record->restore_problem, "");
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyRestoreTest, SlowCheckEndsWithTheStopAndWithItsTime) {
  make_slow_index();
  const auto backup = take_backup(instance_, cluster_);
  std::stop_source stop;
  const auto stop_in_the_slow_one = [&](const Progress& progress) {
    if (progress.phase == "check" && progress.done + 1 == progress.total) stop.request_stop();
  };
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of(request(backup.backup), stop_in_the_slow_one, stop.get_token()), core::Code::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(100));
  postgres::ClusterChecks checks;
  postgres::check_cluster({.connect = [&](const std::string& database) { return cluster_.connect(database); },
                           .damaged = {},
                           .progress = nullptr,
                           .deadline = std::chrono::seconds(1)},
                          checks, {});
  EXPECT_THAT(checks.problems, IsEmpty());
  EXPECT_THAT(checks.notes, Contains("database 'template0' was not looked at: there was no time left"));
}

TEST_F(VerifyRestoreTest, DiskThatFillsWhileItIsLookedAtIsNoFinding) {
  const auto backup = take_backup(instance_, cluster_);
  auto crowded = request(backup.backup);
  const auto fill = [&](const Progress& progress) {
    if (progress.phase != "check" || progress.done != 1) return;
    throw core::Error(core::Code::kDiskFull, "as ScratchDirectory says it");
  };
  EXPECT_EQ(code_of(crowded, fill), core::Code::kDiskFull);
  EXPECT_EQ(repository_->backup(instance_, backup.backup)->restore_problem, "");
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyRestoreTest, BackendThatIsKilledIsNoFinding) {
  const auto backup = take_backup(instance_, cluster_);
  const auto kill = [&](const Progress& progress) {
    if (progress.phase != "check" || progress.done != 1) return;
    postgres::ServerDescription copy;
    copy.paths = {parent() / files_.list(parent()).front().name};
    postgres::Connection connection(postgres::Server(copy, files_, clock_).management_target("postgres"));
    const auto victim = connection.query(
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 1");
    ::kill(static_cast<pid_t>(victim.integer(0, 0)), SIGKILL);
  };
  EXPECT_EQ(code_of(request(backup.backup), kill), core::Code::kUnavailable);
  EXPECT_EQ(repository_->backup(instance_, backup.backup)->restore_problem, "");
  EXPECT_TRUE(nothing_left());
}

TEST_F(VerifyRestoreTest, WhatTheServerLacksIsNoFindingAndItsDamageStaysOne) {
  make_disordered_index();
  const auto backup = take_backup(instance_, cluster_);
  const auto checks = [&](const std::string& state) {
    cluster_.query(
        "CREATE OR REPLACE FUNCTION compare(int4, int4) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN "
        "RAISE EXCEPTION 'as the server says it' USING ERRCODE = '" +
        state + "'; END$$");
    postgres::ClusterChecks found;
    postgres::check_cluster({.connect = [&](const std::string& database) { return cluster_.connect(database); },
                             .damaged = {},
                             .progress = nullptr},
                            found, {});
    return found;
  };
  EXPECT_THAT(checks("XX001").problems, Contains(HasSubstr("index sorted_id in database 'postgres'")));
  EXPECT_THAT(checks("55P03").problems, IsEmpty());
  for (const auto& [state, code] :
       {std::pair{"53100", core::Code::kDiskFull}, std::pair{"53200", core::Code::kDatabaseUnavailable}}) {
    try {
      checks(state);
      ADD_FAILURE() << state;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), code) << error.message();
    }
  }
}

/// Until version 17 there is no setting against them; subscriptions are disabled after the recovery.
TEST_F(VerifyRestoreTest, NothingOfTheTenantsRunsInTheCopy) {
  auto connection = cluster_.connect();
  connection.query("CREATE DATABASE elsewhere");
  connection.query("ALTER DATABASE elsewhere SET session_preload_libraries = 'not_on_this_machine'");
  connection.query("CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)");
  connection.query("ALTER SUBSCRIPTION sub SET (slot_name = 'sub')");
  connection.query("UPDATE pg_subscription SET subenabled = true");
  connection.execute(
      "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no DDL here'; END$$;"
      "CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse();"
      "CREATE EVENT TRIGGER refuse_always ON ddl_command_start EXECUTE FUNCTION refuse();"
      "ALTER EVENT TRIGGER refuse_always ENABLE ALWAYS");
  const auto backup = take_backup(instance_, cluster_);
  const auto proof = verify_restore(environment_, request(backup.backup), nullptr, {});
  EXPECT_THAT(proof.problems, IsEmpty());
  EXPECT_TRUE(repository_->backup(instance_, backup.backup)->verified);
}

TEST_F(VerifyRestoreTest, EveryDamagedPageCountsAlsoWhereNoDatabaseHasIt) {
  cluster_.query("CREATE DATABASE dropped");
  cluster_.connect("dropped").execute("CREATE TABLE t AS SELECT g, repeat('x', 500) FROM generate_series(1, 1000) g");
  const auto file = cluster_.connect("dropped").query("SELECT pg_relation_filepath('t')").text(0, 0);
  cluster_.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'dropped'");
  cluster_.query("CHECKPOINT");
  const auto kept = file_of("kept");
  cluster_.stop();
  for (std::uint64_t block = 0; block < 25; ++block) write_into(file, block * 8192 + 4000, "damage");
  write_into(kept, 3 * 8192 + 4000, "damage");
  cluster_.start();
  const auto backup = take_backup(instance_, cluster_);
  const auto proof = verify_restore(environment_, request(backup.backup), nullptr, {});
  EXPECT_THAT(proof.problems, Contains(HasSubstr("public.kept in database 'postgres': block 3 fails its checksum")));
  EXPECT_THAT(proof.problems, Contains(HasSubstr("block 0 of the file " + file + ", which is of no database")));
  EXPECT_GE(proof.problem_count, 26U);
  EXPECT_FALSE(repository_->backup(instance_, backup.backup)->verified);
}

TEST_F(VerifyRestoreTest, WhatACrashLeavesIsEndedAndRemoved) {
  const auto backup = take_backup(instance_, cluster_);
  const auto plan = WalArchive(*repository_, instance_).plan(ToBackup{backup.backup}, clock_.now());
  files_.make_directories(parent(), 0711);
  const auto left = recover_to(plan, "scratch/left");
  ASSERT_TRUE(left->server().find());
  std::vector<uid_t> ended;
  clear_restores(environment_, parent(), [&](uid_t user) { ended.push_back(user); });
  EXPECT_FALSE(left->server().find());
  EXPECT_EQ(ended.size(), 1U);
  EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace backstay::backup
