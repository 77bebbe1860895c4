#include "metadata/migrations.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/session_pool.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

const std::vector<Migration> kFirst{{.version = 1, .statements = {"CREATE TABLE a (v TEXT NOT NULL)"}}};
const std::vector<Migration> kBoth{kFirst[0], {.version = 2, .statements = {"CREATE TABLE b (v TEXT NOT NULL)"}}};
const std::vector<Migration> kBroken{
    kFirst[0], {.version = 2, .statements = {"CREATE TABLE b (v TEXT NOT NULL)", "CREATE TABLE a (v TEXT)"}}};

class MigrationsTest : public ::testing::Test {
 protected:
  MigrationsTest() {
    config_ = temporary_.config();
    config_.file = config_.file.parent_path() / "other.db";
    make_private(config_.file);
  }
  std::unique_ptr<Session> session() { return std::make_unique<Session>(config_, random_, Access::kWrite); }
  [[nodiscard]] std::filesystem::path copy() const { return config_.file.string() + ".before-2"; }
  static bool has_table(soci::session& sql, const std::string& name) {
    try {
      Query(sql, "SELECT v FROM " + name).run();
      return true;
    } catch (const core::Error&) {
      return false;
    }
  }

  testing::TemporaryDatabase temporary_;
  DatabaseConfig config_;
  core::SystemRandom random_;
};

TEST_F(MigrationsTest, TheVersionsAreInOrder) {
  int last = 0;
  for (const auto& migration : migrations()) {
    EXPECT_EQ(migration.version, last + 1);
    last = migration.version;
  }
}

TEST_F(MigrationsTest, AnOlderStateIsCopiedBeforeItChanges) {
  const auto first = session();
  migrate(first->sql, config_.file, kFirst);
  EXPECT_FALSE(std::filesystem::exists(copy())) << "there was nothing to copy";
  Query(first->sql, "INSERT INTO a (v) VALUES ('old')").run();
  migrate(first->sql, config_.file, kBoth);
  EXPECT_TRUE(has_table(first->sql, "b"));
  ASSERT_TRUE(std::filesystem::exists(copy()));
  EXPECT_EQ(std::filesystem::status(copy()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  auto old = config_;
  old.file = copy();
  Session before(old, random_, Access::kWrite);
  EXPECT_FALSE(has_table(before.sql, "b"));
  EXPECT_TRUE(Query(before.sql, "SELECT v FROM a").first<std::string>([](const Row& row) { return row.text("v"); }) ==
              "old");
}

TEST_F(MigrationsTest, AStepThatFailsLeavesTheStateAsItWas) {
  const auto first = session();
  migrate(first->sql, config_.file, kFirst);
  EXPECT_THROW(migrate(first->sql, config_.file, kBroken), core::Error);
  EXPECT_FALSE(has_table(first->sql, "b"));
  migrate(first->sql, config_.file, kBoth);
  EXPECT_TRUE(has_table(first->sql, "b"));
}

}  // namespace
}  // namespace backstay::metadata
