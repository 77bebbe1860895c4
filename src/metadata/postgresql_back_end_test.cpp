// What only PostgreSQL has to prove: several servers on one state, and a server that goes away.
#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"
#include "metadata/back_end.h"
#include "metadata/query.h"
#include "metadata/settings.h"
#include "metadata/testing/temporary_database.h"
#include "metadata/testing/temporary_server.h"

namespace backstay::metadata {
namespace {

using core::Code;
using testing::TemporaryServer;

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was refused";
  return Code::kInternal;
}

class PostgresqlBackEndTest : public ::testing::Test {
 protected:
  [[nodiscard]] DatabaseConfig config() const { return temporary_.config(); }
  std::unique_ptr<Database> another_server(std::chrono::seconds patience = std::chrono::seconds(30)) {
    auto its_config = config();
    its_config.patience = patience;
    return Database::open(its_config, random_);
  }
  Database& database() { return temporary_.database(); }

  testing::TemporaryDatabase temporary_{testing::Store::kPostgresql};
  core::SystemRandom random_;
};

void add_one(Database& database) {
  database.write([](Transaction& tx) {
    Settings settings(tx);
    settings.put("n", std::to_string(std::stoi(settings.get("n").value_or("0")) + 1));
  });
}

TEST_F(PostgresqlBackEndTest, WritersOfTwoServersFollowEachOther) {
  constexpr int kEach = 50;
  const auto other = another_server();
  const auto add = [](Database& server) {
    for (int i = 0; i < kEach; ++i) add_one(server);
  };
  {
    const std::jthread first([&] { add(database()); });
    const std::jthread second([&] { add(*other); });
  }
  EXPECT_EQ(database().read([](Transaction& tx) { return Settings(tx).get("n"); }), std::to_string(2 * kEach));
}

TEST_F(PostgresqlBackEndTest, AWriterSeesWhatTheOneBeforeCommittedWhileItWaited) {
  const auto other = another_server();
  auto first = database().begin(Access::kWrite);
  std::optional<std::string> seen;
  {
    const std::jthread second([&] { seen = other->write([](Transaction& tx) { return Settings(tx).get("k"); }); });
    Settings(first).put("k", "v");
    first.commit();
  }
  // Whether the second began before or after the commit, it ran wholly after the first, or wholly before.
  const auto after = other->write([](Transaction& tx) { return Settings(tx).get("k"); });
  EXPECT_EQ(after, "v");
  EXPECT_TRUE(!seen || *seen == "v");
}

TEST_F(PostgresqlBackEndTest, AWriterThatWaitsTooLongSaysSo) {
  const auto impatient = another_server(std::chrono::seconds(0));
  const auto open = database().begin(Access::kWrite);
  EXPECT_EQ(code_of([&] { impatient->begin(Access::kWrite); }), Code::kStateError);
}

TEST_F(PostgresqlBackEndTest, AServerThatCameBackIsConnectedToAgain) {
  add_one(database());
  TemporaryServer::shared().crash();
  add_one(database());
  EXPECT_EQ(database().read([](Transaction& tx) { return Settings(tx).get("n"); }), "2");
}

TEST_F(PostgresqlBackEndTest, ATransactionThatLostItsServerLeavesNothing) {
  auto tx = std::make_unique<Transaction>(database().begin(Access::kWrite));
  Settings(*tx).put("k", "v");
  TemporaryServer::shared().crash();
  EXPECT_EQ(code_of([&] { tx->commit(); }), Code::kStateError);
  tx.reset();
  EXPECT_FALSE(database().read([](Transaction& read) { return Settings(read).get("k"); }));
  add_one(database());
}

TEST_F(PostgresqlBackEndTest, TextThatIsNoUnicodeIsStoredAsFarAsItIs) {
  database().write([](Transaction& tx) { Settings(tx).put("k", std::string("a\xff\xc3(\0z\xc3\xa4", 8)); });
  EXPECT_EQ(database().read([](Transaction& tx) { return Settings(tx).get("k"); }),
            "a?"
            "?(?z\xc3\xa4");
}

TEST_F(PostgresqlBackEndTest, PasswordsAreNotInUrls) {
  auto bad = config();
  for (const auto* url : {"postgresql://user:secret@host/db", "postgresql://host/db?user=a&password=secret"}) {
    bad.url = url;
    try {
      make_back_end(bad);
      ADD_FAILURE() << url;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), Code::kConfigError);
      EXPECT_EQ(error.message().find("secret"), std::string::npos);
    }
  }
  bad.url = "mysql://host/db";
  EXPECT_EQ(code_of([&] { make_back_end(bad); }), Code::kConfigError);
}

TEST_F(PostgresqlBackEndTest, ThePasswordIsGivenToTheServerAndToNobodyElse) {
  auto absent = config();
  absent.url += "&dbname=not_there";
  absent.password = core::Secret("swordfish&in=clear");
  try {
    Database::open(absent, random_);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), Code::kStateError);
    EXPECT_NE(error.message().find("not_there"), std::string::npos) << error.message();
    EXPECT_EQ(error.message().find("swordfish"), std::string::npos) << error.message();
  }
  auto with_password = config();
  with_password.password = core::Secret("swordfish&in=clear");
  EXPECT_TRUE(Database::open(with_password, random_));
}

}  // namespace
}  // namespace backstay::metadata
