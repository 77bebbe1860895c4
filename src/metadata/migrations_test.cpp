#include "metadata/migrations.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"
#include "metadata/back_end.h"
#include "metadata/query.h"
#include "metadata/session_pool.h"
#include "metadata/testing/temporary_database.h"
#include "metadata/testing/temporary_server.h"

namespace backstay::metadata {
namespace {

const std::vector<Migration> kFirst{{.version = 1, .statements = {"CREATE TABLE a (v TEXT NOT NULL)"}}};
const std::vector<Migration> kBoth{kFirst[0], {.version = 2, .statements = {"CREATE TABLE b (v TEXT NOT NULL)"}}};
const std::vector<Migration> kBroken{
    kFirst[0], {.version = 2, .statements = {"CREATE TABLE b (v TEXT NOT NULL)", "CREATE TABLE a (v TEXT)"}}};

bool has_table(soci::session& sql, const std::string& name) {
  try {
    Query(sql, "SELECT v FROM " + name).run();
    return true;
  } catch (const core::Error&) {
    return false;
  }
}

/// A state without a schema.
class MigrationsTest : public ::testing::TestWithParam<testing::Store> {
 public:
  MigrationsTest() {
    config_ = temporary_.config();
    if (GetParam() == testing::Store::kPostgresql) config_.url = testing::TemporaryServer::shared().make_database();
    config_.file = config_.file.parent_path() / "other.db";
    back_end_ = make_back_end(config_);
    back_end_->prepare_place();
  }
  ~MigrationsTest() override {
    if (!config_.url.empty()) testing::TemporaryServer::shared().drop_database(config_.url);
  }

 protected:
  std::unique_ptr<Session> session() {
    return std::make_unique<Session>(*back_end_, config_.key, random_, Access::kWrite);
  }

  testing::TemporaryDatabase temporary_;
  DatabaseConfig config_;
  core::SystemRandom random_;
  std::unique_ptr<BackEnd> back_end_;
};

INSTANTIATE_TEST_SUITE_P(Stores, MigrationsTest,
                         ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST(MigrationListTest, TheVersionsAreInOrder) {
  int last = 0;
  for (const auto& migration : migrations()) {
    EXPECT_GT(migration.version, last);
    last = migration.version;
  }
}

TEST_P(MigrationsTest, AnOlderStateKeepsWhatItHolds) {
  const auto first = session();
  migrate(*back_end_, first->sql, kFirst);
  Query(first->sql, "INSERT INTO a (v) VALUES ('old')").run();
  migrate(*back_end_, first->sql, kBoth);
  EXPECT_TRUE(has_table(first->sql, "b"));
  EXPECT_EQ(Query(first->sql, "SELECT v FROM a").first<std::string>([](const Row& row) { return row.text("v"); }),
            "old");
}

TEST_P(MigrationsTest, ServersThatStartTogetherMigrateOnce) {
  const auto start = [&] { migrate(*back_end_, session()->sql, kBoth); };
  migrate(*back_end_, session()->sql, kFirst);
  if (GetParam() == testing::Store::kPostgresql) {
    std::vector<std::jthread> servers;
    for (int i = 0; i < 4; ++i) servers.emplace_back(start);
  } else {
    start();  // a file belongs to one server
  }
  EXPECT_EQ(Query(session()->sql, "SELECT version FROM schema_version ORDER BY version")
                .list<std::int64_t>([](const Row& row) { return row.integer("version"); }),
            (std::vector<std::int64_t>{1, 2}));
}

TEST(SqliteMigrationsTest, AnOlderStateIsCopiedBeforeItChanges) {
  testing::TemporaryDatabase temporary;
  core::SystemRandom random;
  auto config = temporary.config();
  config.file = config.file.parent_path() / "other.db";
  const auto copy = config.file.string() + ".before-2";
  const auto back_end = make_back_end(config);
  back_end->prepare_place();
  Session session(*back_end, config.key, random, Access::kWrite);
  migrate(*back_end, session.sql, kFirst);
  EXPECT_FALSE(std::filesystem::exists(copy)) << "there was nothing to copy";
  Query(session.sql, "INSERT INTO a (v) VALUES ('old')").run();
  migrate(*back_end, session.sql, kBoth);
  ASSERT_TRUE(std::filesystem::exists(copy));
  EXPECT_EQ(std::filesystem::status(copy).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  config.file = copy;
  const auto old = make_back_end(config);
  Session before(*old, config.key, random, Access::kWrite);
  EXPECT_FALSE(has_table(before.sql, "b"));
  EXPECT_EQ(Query(before.sql, "SELECT v FROM a").first<std::string>([](const Row& row) { return row.text("v"); }),
            "old");
}

TEST_P(MigrationsTest, AStepThatFailsLeavesTheStateAsItWas) {
  const auto first = session();
  migrate(*back_end_, first->sql, kFirst);
  EXPECT_THROW(migrate(*back_end_, first->sql, kBroken), core::Error);
  EXPECT_FALSE(has_table(first->sql, "b"));
  migrate(*back_end_, first->sql, kBoth);
  EXPECT_TRUE(has_table(first->sql, "b"));
}

}  // namespace
}  // namespace backstay::metadata
