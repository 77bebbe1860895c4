#include "metadata/database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/sealer.h"
#include "metadata/settings.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

using core::Code;
using testing::TemporaryDatabase;

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was refused";
  return Code::kInternal;
}

void put(Database& database, const std::string& key, const std::string& value) {
  database.write([&](Transaction& tx) { Settings(tx).put(key, value); });
}
std::optional<std::string> get(Database& database, const std::string& key) {
  return database.read([&](Transaction& tx) { return Settings(tx).get(key); });
}

class DatabaseTest : public ::testing::TestWithParam<testing::Store> {};

INSTANTIATE_TEST_SUITE_P(Stores, DatabaseTest, ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST(SqliteDatabaseTest, AnEmptyFileIsMigratedAndKeepsItsContent) {
  TemporaryDatabase temporary;
  put(temporary.database(), "k", "v");
  temporary.reopen();
  EXPECT_EQ(get(temporary.database(), "k"), "v");
  struct stat status{};
  ASSERT_EQ(::stat(temporary.config().file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_P(DatabaseTest, WhatIsNotCommittedIsNotThere) {
  TemporaryDatabase temporary(GetParam());
  {
    auto tx = temporary.database().begin(Access::kWrite);
    Settings(tx).put("k", "v");
  }
  EXPECT_FALSE(get(temporary.database(), "k"));
  EXPECT_THROW(temporary.database().write([](Transaction& tx) {
    Settings(tx).put("k", "v");
    throw std::runtime_error("half way");
  }),
               std::runtime_error);
  EXPECT_FALSE(get(temporary.database(), "k"));
}

TEST_P(DatabaseTest, AReaderSeesOneSnapshotAndCannotWrite) {
  TemporaryDatabase temporary(GetParam());
  put(temporary.database(), "k", "old");
  auto tx = temporary.database().begin(Access::kRead);
  EXPECT_EQ(Settings(tx).get("k"), "old");
  put(temporary.database(), "k", "new");
  EXPECT_EQ(Settings(tx).get("k"), "old");
  EXPECT_EQ(code_of([&] { Settings(tx).put("k", "mine"); }), Code::kStateError);
  EXPECT_EQ(get(temporary.database(), "k"), "new");
}

TEST_P(DatabaseTest, WritersWaitForEachOther) {
  TemporaryDatabase temporary(GetParam());
  put(temporary.database(), "n", "0");
  const auto add = [&] {
    for (int i = 0; i < 50; ++i) {
      temporary.database().write([](Transaction& tx) {
        Settings settings(tx);
        settings.put("n", std::to_string(std::stoi(*settings.get("n")) + 1));
      });
    }
  };
  {
    const std::jthread first(add);
    const std::jthread second(add);
  }
  EXPECT_EQ(get(temporary.database(), "n"), "100");
}

TEST_P(DatabaseTest, AStateOfANewerProgramIsRefused) {
  TemporaryDatabase temporary(GetParam());
  temporary.database().write([](Transaction& tx) {
    Query(tx, "INSERT INTO schema_version (version) VALUES (:version)")
        .bind(Values().set("version", Database::schema_version() + 1))
        .run();
  });
  EXPECT_EQ(code_of([&] { temporary.reopen(); }), Code::kStateTooNew);
}

TEST_P(DatabaseTest, AnotherMasterKeyIsRefused) {
  TemporaryDatabase temporary(GetParam());
  temporary.close();
  auto config = temporary.config();
  config.key.bytes[0] ^= std::byte{1};
  core::SystemRandom random;
  EXPECT_EQ(code_of([&] { Database::open(config, random); }), Code::kConfigError);
}

TEST(SqliteDatabaseTest, AFileThatIsNoStateIsAnError) {
  TemporaryDatabase temporary;
  temporary.close();
  std::ofstream(temporary.config().file, std::ios::trunc) << std::string(4096, 'x');
  EXPECT_EQ(code_of([&] { temporary.reopen(); }), Code::kStateError);
}

TEST(SqliteDatabaseTest, SecretsAreNotInTheFile) {
  TemporaryDatabase temporary;
  constexpr auto kSecret = "a-very-secret-text-that-is-not-in-clear";
  temporary.database().write([&](Transaction& tx) {
    Teams(tx).insert({.id = 1, .name = "visible-team-name", .slug = "t", .recovery_key = core::Secret(kSecret)});
    Settings(tx).put_secret("key", core::Secret(kSecret));
  });
  temporary.close();
  const auto content = bytes_of(temporary.config().file);
  EXPECT_NE(content.find("visible-team-name"), std::string::npos);
  EXPECT_EQ(content.find(kSecret), std::string::npos);
}

TEST_P(DatabaseTest, WhatWasAcknowledgedSurvivesAKill) {
  TemporaryDatabase temporary(GetParam());
  temporary.close();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    core::SystemRandom random;
    const auto database = Database::open(temporary.config(), random);
    put(*database, "committed", "yes");
    auto tx = database->begin(Access::kWrite);
    Settings(tx).put("open", "yes");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  temporary.reopen();
  EXPECT_EQ(get(temporary.database(), "committed"), "yes");
  EXPECT_FALSE(get(temporary.database(), "open"));
}

TEST_P(DatabaseTest, ErrorsDoNotQuoteWhatWasBound) {
  TemporaryDatabase temporary(GetParam());
  try {
    temporary.database().write([](Transaction& tx) {
      Query(tx, "INSERT INTO no_table (v) VALUES (:v)").bind(Values().set("v", "bound-secret")).run();
    });
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), Code::kStateError);
    EXPECT_EQ(error.message().find("bound-secret"), std::string::npos);
    EXPECT_NE(error.message().find("no_table"), std::string::npos);
  }
}

TEST_P(DatabaseTest, AnExhaustedPoolSaysSo) {
  TemporaryDatabase temporary(GetParam());
  auto config = temporary.config();
  config.patience = std::chrono::seconds(0);
  core::SystemRandom random;
  const auto impatient = Database::open(config, random);
  const auto tx = impatient->begin(Access::kWrite);
  EXPECT_EQ(code_of([&] { impatient->begin(Access::kWrite); }), Code::kStateError);
}

TEST(SealerTest, OpensOnlyInItsPlaceWithItsKey) {
  core::SystemRandom random;
  MasterKey key;
  Sealer sealer(key, random);
  const SealedPlace place{.table = "t", .column = "c", .row = "r"};
  const auto sealed = sealer.seal(place, "text");
  EXPECT_EQ(sealer.open(place, sealed).reveal(), "text");
  EXPECT_NE(sealer.seal(place, "text"), sealed);
  EXPECT_EQ(sealer.seal(place, ""), "");
  EXPECT_TRUE(sealer.open(place, "").empty());
  EXPECT_EQ(code_of([&] { sealer.open({.table = "t", .column = "c", .row = "other"}, sealed); }), Code::kCorruptData);
  EXPECT_EQ(code_of([&] { sealer.open({.table = "tc", .column = "", .row = "r"}, sealed); }), Code::kCorruptData);
  auto damaged = sealed;
  damaged[20] = damaged[20] == 'A' ? 'B' : 'A';
  EXPECT_EQ(code_of([&] { sealer.open(place, damaged); }), Code::kCorruptData);
  key.bytes[31] = std::byte{1};
  Sealer other(key, random);
  EXPECT_EQ(code_of([&] { other.open(place, sealed); }), Code::kCorruptData);
}

}  // namespace
}  // namespace backstay::metadata
