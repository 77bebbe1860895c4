// Logical backups on a real server: there and back, twice, and what is in the way.
#include "backup/dump.h"

#include "backup/confirm.h"
#include "backup/dump_restore.h"
#include "backup/testing/archive_fixture.h"
#include "backup/testing/dump_text.h"
#include "core/error.h"
#include "repository/prune.h"

namespace backstay::backup {
namespace {

using testing::ArchiveFixture;
using testing::comparable_dump;

constexpr const char* kSchema = R"(
SET ROLE app;
CREATE SCHEMA sales CREATE TABLE sales.region (name text PRIMARY KEY);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text, feel mood);
CREATE INDEX orders_note ON orders (note);
CREATE TABLE line (order_id bigint REFERENCES orders, amount int CHECK (amount > 0));
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
COMMENT ON TABLE orders IS 'it''s "quoted"';
GRANT SELECT ON orders TO reader;
)";
constexpr const char* kRows = R"(
SET ROLE app;
INSERT INTO orders (note) SELECT md5(g::text) || md5((g * 7)::text) FROM generate_series(1, 40000) g;
INSERT INTO line SELECT id, 1 + id % 7 FROM orders WHERE id % 10 = 0;
CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS lines, sum(amount) AS amount FROM line;
SELECT lo_from_bytea(4711, 'a large object');
)";

/// A server whose roles need no password on its socket, as while a service is being recovered.
class TrustingCluster : public postgres::testing::TestCluster {
 public:
  TrustingCluster() {
    core::SystemClock clock;
    os::RealFileSystem files;
    const auto loaded_at = [this] { return query("SELECT pg_conf_load_time()::text").text(0, 0); };
    const std::string before = loaded_at();
    files.write_file_durably(paths().config() / "pg_hba.conf",
                             core::as_bytes("local all all trust\nlocal replication all trust\n"), 0644);
    query("SELECT pg_reload_conf()");
    const auto deadline = clock.steady_now() + std::chrono::seconds(30);
    while (loaded_at() == before && clock.steady_now() < deadline) clock.wait({}, std::chrono::milliseconds(5));
    query("CREATE ROLE app LOGIN");
    query("CREATE ROLE reader");
  }
};

class DumpTest : public ArchiveFixture {
 protected:
  DumpTest() : instance_(add_instance(cluster_)) {
    cluster_.query("CREATE DATABASE \"the shop\" OWNER app");
    cluster_.query("CREATE DATABASE again OWNER app");
    run(shop(), {"-c", kSchema, "-c", kRows});
  }
  postgres::ConnectionTarget shop() { return cluster_.target("the shop"); }
  void run(const postgres::ConnectionTarget& target, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-v", "ON_ERROR_STOP=1", "-qX", "-d", "dbname='" + target.database + "'"});
    run_program("psql", target, arguments);
  }
  /// Everything in a database as SQL, without what a restore leaves behind.
  std::string text_of(const postgres::ConnectionTarget& target) {
    return comparable_dump(
        run_program("pg_dump", target, {"--no-owner", "--no-privileges", "-d", "dbname='" + target.database + "'"}));
  }
  DumpRequest request(const std::string& id) {
    DumpRequest request{.repository = *repository_,
                        .instance = instance_,
                        .backup_id = id,
                        .connection = shop(),
                        .installation = cluster_.installation(),
                        .identity = cluster_.identity(),
                        .scratch = scratch_};
    return request;
  }
  repository::BackupRecord dump() { return take_dump(environment_, request(random_.uuid()), nullptr, {}); }
  repository::BackupRecord confirmed_dump() {
    const auto record = dump();
    EXPECT_TRUE(confirm_backup(environment_, *repository_, instance_, record.backup, nullptr, {}).ok());
    return record;
  }
  StoredDump stored(const std::string& id) {
    return {.repository = *repository_,
            .instance = instance_,
            .backup_id = id,
            .installation = cluster_.installation(),
            .identity = cluster_.identity(),
            .scratch = scratch_};
  }
  void restore(const std::string& id, const std::string& database) {
    DumpRestoreRequest request{.from = stored(id), .connection = cluster_.target(database)};
    request.connection.user = "app";
    request.connect_as_superuser = [this](const std::string& name) { return cluster_.connect(name); };
    restore_dump(environment_, request, nullptr, {});
  }
  int exit_code(std::vector<std::string> arguments) {
    os::Command command;
    command.argv = std::move(arguments);
    return processes_.run(command, {}).exit_code;
  }
  std::filesystem::path write_sql(const std::string& id) {
    auto file = directory_.path() / "dump.sql";
    const auto out = files_.create(file, 0644);
    write_dump_as_sql(environment_, stored(id), [&](std::string_view part) { out->append(core::as_bytes(part)); }, {});
    out->close();
    return file;
  }
  std::vector<std::string> left_in_scratch() {
    std::vector<std::string> names;
    if (!files_.stat(scratch_.parent)) return names;
    for (const auto& entry : files_.list(scratch_.parent)) names.push_back(entry.name);
    return names;
  }

  TrustingCluster cluster_;
  std::string instance_;
  ScratchSpace scratch_{.parent = directory_.path() / "scratch", .reserve = 1U << 20};
};

TEST_F(DumpTest, ADatabaseComesBackTheSameInFullAsItsOwnersAlone) {
  const auto record = dump();
  EXPECT_EQ(record.mechanism, "logical");
  EXPECT_TRUE(record.stored && record.taken);
  EXPECT_GT(record.data_size, 40'000U * 64);
  EXPECT_TRUE(left_in_scratch().empty());
  const std::string before = text_of(shop());
  restore(record.backup, "again");
  EXPECT_EQ(text_of(cluster_.target("again")), before);
  const auto owners = cluster_.connect("again").query(
      "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE oid >= 16384 "
      "AND relnamespace <> 'pg_toast'::regnamespace");
  ASSERT_EQ(owners.size(), 1U);
  EXPECT_EQ(owners.text(0, 0), "app");

  cluster_.query("CREATE DATABASE third OWNER app");
  run(cluster_.target("third"), {"-f", write_sql(record.backup).string()});
  EXPECT_EQ(text_of(cluster_.target("third")), before);
  EXPECT_TRUE(left_in_scratch().empty());
}

TEST_F(DumpTest, WhatTheLastOneHoldsIsNotStoredAgain) {
  const auto first = confirmed_dump();
  cluster_.connect("the shop").query("UPDATE orders SET feel = 'ok' WHERE id = 20000");
  const auto second = confirmed_dump();
  EXPECT_GE(second.data_size, first.data_size - 64);
  EXPECT_LT(second.stored_size, first.stored_size / 3) << first.stored_size;
  // The first may go: what the second needs of it stays.
  repository::PruneRequest prune{.backups = {{instance_, first.backup, "asked for"}}, .grace = core::Duration(0)};
  for (int run = 0; run < 3; ++run) repository::prune(*repository_, prune, {});
  EXPECT_FALSE(repository_->backup(instance_, first.backup));
  EXPECT_TRUE(confirm_backup(environment_, *repository_, instance_, second.backup, nullptr, {}).ok());
  restore(second.backup, "again");
  EXPECT_EQ(text_of(cluster_.target("again")), text_of(shop()));
  // Nothing is built on one that is damaged.
  for (const auto& key : memory_.keys()) {
    if (key.starts_with("packs/")) memory_.corrupt(key, 100);
  }
  EXPECT_FALSE(confirm_backup(environment_, *repository_, instance_, second.backup, nullptr, {}).ok());
  EXPECT_GT(confirmed_dump().stored_size, first.stored_size / 2);
}

TEST_F(DumpTest, WhatDoesNotEndWellLeavesNothing) {
  std::stop_source stop;
  const auto stop_at_once = [&](const Progress&) { stop.request_stop(); };
  try {
    take_dump(environment_, request(random_.uuid()), stop_at_once, stop.get_token());
    FAIL() << "the backup was not stopped";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kCancelled) << error.what();
  }
  EXPECT_TRUE(repository_->backups(instance_).empty());
  EXPECT_TRUE(left_in_scratch().empty());

  // The store is away for the first attempt; another process was killed meanwhile.
  const std::string id = random_.uuid();
  files_.make_directories(scratch_.parent / random_.uuid(), 0700);
  store_->go_away();
  EXPECT_THROW(take_dump(environment_, request(id), nullptr, {}), core::Error);
  store_->come_back();
  clear_scratch(files_, scratch_.parent);
  EXPECT_TRUE(left_in_scratch().empty());
  EXPECT_TRUE(repository_->backups(instance_).empty());
  restore(take_dump(environment_, request(id), nullptr, {}).backup, "again");
  EXPECT_EQ(text_of(cluster_.target("again")), text_of(shop()));
}

TEST_F(DumpTest, WithoutRoomItIsRefusedOrGivenUpWithThatReason) {
  scratch_.reserve = std::uint64_t{1} << 60;
  try {
    dump();
    FAIL() << "there was room";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kDiskFull);
    EXPECT_NE(error.message().find("of room in '" + scratch_.parent.string() + "'"), std::string::npos)
        << error.message();
  }
  scratch_.reserve = 0;
  const std::string scratch = scratch_.parent.string();
  if (exit_code({"mount", "-t", "tmpfs", "-o", "size=1400k,mode=0711", "none", scratch}) != 0) {
    GTEST_SKIP() << "no file system can be mounted here";
  }
  cluster_.connect("the shop").query("CREATE TABLE wide AS SELECT repeat('x', 8000000) AS text");
  run(shop(), {"-c", "TRUNCATE orders, line"});
  try {
    dump();
    ADD_FAILURE() << "there was room";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kDiskFull) << error.what();
  }
  EXPECT_TRUE(left_in_scratch().empty());
  EXPECT_TRUE(repository_->backups(instance_).empty());
  EXPECT_EQ(exit_code({"umount", scratch}), 0);
}

TEST_F(DumpTest, ExtensionsOfASuperuserAreMadeAndRefusalsNameTheirObject) {
  run(shop(), {"-c", "CREATE SCHEMA tools", "-c", "CREATE EXTENSION pageinspect SCHEMA tools", "-c",
               "CREATE EXTENSION pg_trgm", "-c", "CREATE INDEX ON orders USING gin (note gin_trgm_ops)"});
  restore(dump().backup, "again");
  EXPECT_EQ(text_of(cluster_.target("again")), text_of(shop()));

  run(shop(),
      {"-c",
       "CREATE FUNCTION of_a_superuser() RETURNS trigger LANGUAGE internal AS 'suppress_redundant_updates_trigger'"});
  cluster_.query("CREATE DATABASE third OWNER app");
  try {
    restore(dump().backup, "third");
    FAIL() << "a function of the server was made for a plain role";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kRecoveryFailed);
    EXPECT_NE(error.message().find("FUNCTION of_a_superuser():"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("permission denied for language internal"), std::string::npos) << error.message();
  }
}

TEST_F(DumpTest, WindowsAndPlansKnowPhysicalOnesOnly) {
  const auto logical = dump();
  WalArchive archive(*repository_, instance_);
  EXPECT_FALSE(archive.window().earliest);
  try {
    archive.plan(ToBackup{logical.backup}, clock_.now());
    ADD_FAILURE() << "a dump was planned as a base backup";
  } catch (const core::Error& error) {
    EXPECT_NE(error.message().find("is a dump"), std::string::npos) << error.message();
  }
  const auto physical = take_backup(instance_, cluster_);
  dump();
  EXPECT_EQ(archive.plan(ToLatest{}, clock_.now()).base.backup, physical.backup);
  EXPECT_EQ(archive.backups().size(), 3U);
  EXPECT_THROW(require_dump(*repository_, instance_, physical.backup, 15), core::Error);
  EXPECT_THROW(require_dump(*repository_, instance_, logical.backup, 14), core::Error);
  EXPECT_EQ(require_dump(*repository_, instance_, logical.backup, 18).backup, logical.backup);
}

}  // namespace
}  // namespace backstay::backup
