#include "postgres/roles.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "postgres/server_config.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Secret;
using testing::TestCluster;

/// Each test has its own cluster: roles are shared by all databases of one.
class RolesTest : public ::testing::Test {
 protected:
  ConnectTo connect() {
    return [this](const std::string& database) { return cluster_.server().connect(database); };
  }
  bool can_log_in(const std::string& role, const std::string& password, const std::string& database) {
    auto target = cluster_.target(database);
    target.user = role;
    target.password = Secret(password);
    try {
      Connection{target}.query("SELECT 1");
      return true;
    } catch (const core::Error& e) {
      EXPECT_EQ(e.code(), Code::kDatabaseError) << e.what();
      return false;
    }
  }
  std::string one(const std::string& sql, const std::string& database = "postgres") {
    return cluster_.connect(database).query(sql).text(0, 0);
  }
  /// The management role is the only one that the socket lets in.
  void let_everybody_in() {
    os::RealFileSystem files;
    write_readable_file(files, cluster_.paths().config() / "pg_hba.conf", "local all all scram-sha-256\n",
                        cluster_.identity());
    cluster_.server().reload();
    while (one("SELECT count(*) FROM pg_hba_file_rules") != "1") {
    }
    // The postmaster has read the file once a new connection shows a later configuration time.
    while (one("SELECT pg_conf_load_time() > pg_postmaster_start_time()") != "t") {
    }
  }

  TestCluster cluster_;
};

TEST_F(RolesTest, GivesTheApplicationItsDatabaseAndNoMore) {
  let_everybody_in();
  const Access access{"the app", Secret("it's a pässword"), "the data", std::nullopt};
  ensure_access(connect(), access);
  ensure_access(connect(), access);
  EXPECT_TRUE(can_log_in("the app", "it's a pässword", "the data"));
  EXPECT_FALSE(can_log_in("the app", "another", "the data"));
  EXPECT_EQ(one("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'the data'"), "the app");
  EXPECT_EQ(one("SELECT rolsuper OR rolreplication OR rolbypassrls OR rolcreatedb FROM pg_roles "
                "WHERE rolname = 'the app'"),
            "f");
  EXPECT_EQ(one("SELECT rolcreaterole = (current_setting('server_version_num')::int >= 160000) FROM pg_roles "
                "WHERE rolname = 'the app'"),
            "t");
  auto target = cluster_.target("the data");
  target.user = "the app";
  target.password = access.password;
  Connection application(target);
  application.execute("CREATE TABLE t (a int); CREATE SCHEMA s");
  EXPECT_THROW(application.query("COPY t FROM PROGRAM 'echo 1'"), core::Error);
  EXPECT_THROW(application.query("CREATE ROLE other"), core::Error);

  set_passwords(connect(), {"the app", Secret("new"), "the data", std::nullopt});
  EXPECT_TRUE(can_log_in("the app", "new", "the data"));
  EXPECT_FALSE(can_log_in("the app", "it's a pässword", "the data"));
}

TEST_F(RolesTest, MakesATrueSuperuserOnlyWhenAsked) {
  let_everybody_in();
  Access access{"app", Secret("a"), "app", std::nullopt};
  ensure_access(connect(), access);
  EXPECT_EQ(one("SELECT count(*) FROM pg_roles WHERE rolname = 'postgres'"), "0");
  access.superuser_password = Secret("root");
  ensure_access(connect(), access);
  EXPECT_TRUE(can_log_in("postgres", "root", "postgres"));
  EXPECT_EQ(one("SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres'"), "t");
  access.superuser_password.reset();
  ensure_access(connect(), access);
  EXPECT_FALSE(can_log_in("postgres", "root", "postgres"));
}

TEST_F(RolesTest, RefusesReservedNames) {
  const auto refused = [&](const std::string& role, const std::string& database) {
    try {
      ensure_access(connect(), {role, Secret("x"), database, std::nullopt});
    } catch (const core::Error& e) {
      return e.code() == Code::kInvalidArgument && e.fields().size() == 1;
    }
    return false;
  };
  for (const std::string name : {"", "backstay", "postgres", "public", "pg_x", "a\nb"}) {
    EXPECT_TRUE(refused(name, "data")) << name;
  }
  for (const std::string name : {"", "postgres", "template0", "template1"}) EXPECT_TRUE(refused("app", name)) << name;
  EXPECT_TRUE(refused(std::string(64, 'x'), "data"));
}

TEST_F(RolesTest, HandsOverWithOtherNamesAndPasswords) {
  let_everybody_in();
  ensure_access(connect(), {"old_app", Secret("old"), "old_data", Secret("old root")});
  cluster_.connect("old_data").execute("CREATE TABLE t AS SELECT 7 AS a; ALTER TABLE t OWNER TO old_app");
  cluster_.connect().execute(
      "CREATE ROLE reporting LOGIN PASSWORD 'r'; CREATE ROLE readers; "
      "ALTER ROLE old_app CREATEROLE VALID UNTIL '2020-01-01'");
  cluster_.connect("old_data")
      .execute(
          "CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false); "
          "ALTER SUBSCRIPTION sub ENABLE");
  const HandOver request{"old_app", "old_data", {"new_app", Secret("new"), "new_data", std::nullopt}, false};
  const auto report = hand_over(connect(), request);
  EXPECT_EQ(report.disabled_logins, (std::vector<std::string>{"reporting"}));
  EXPECT_EQ(report.disabled_subscriptions, (std::vector<std::string>{"old_data/sub"}));
  EXPECT_FALSE(report.role_created);
  EXPECT_FALSE(report.database_created);
  EXPECT_TRUE(can_log_in("new_app", "new", "new_data"));
  EXPECT_FALSE(can_log_in("old_app", "old", "new_data"));
  EXPECT_FALSE(can_log_in("postgres", "old root", "postgres"));
  EXPECT_FALSE(can_log_in("reporting", "r", "new_data"));
  EXPECT_EQ(one("SELECT tableowner FROM pg_tables WHERE tablename = 't'", "new_data"), "new_app");
  EXPECT_EQ(one("SELECT count(*) FROM pg_subscription WHERE subenabled"), "0");

  const auto again = hand_over(connect(), request);
  EXPECT_TRUE(again.disabled_logins.empty());
  EXPECT_FALSE(again.role_created);
  EXPECT_TRUE(can_log_in("new_app", "new", "new_data"));
  cluster_.connect("new_data").execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub");
}

TEST_F(RolesTest, HandsOverWhatKeepsItsNames) {
  let_everybody_in();
  ensure_access(connect(), {"app", Secret("old"), "data", std::nullopt});
  cluster_.connect().execute("CREATE ROLE reporting LOGIN PASSWORD 'r'");
  const auto report = hand_over(connect(), {"app", "data", {"app", Secret("new"), "data", Secret("root")}, true});
  EXPECT_TRUE(report.disabled_logins.empty());
  EXPECT_TRUE(can_log_in("app", "new", "data"));
  EXPECT_TRUE(can_log_in("reporting", "r", "data"));
  EXPECT_TRUE(can_log_in("postgres", "root", "data"));
}

TEST_F(RolesTest, MakesWhatTheRecoveredStateDoesNotHave) {
  let_everybody_in();
  const auto report = hand_over(connect(), {"app", "data", {"app", Secret("new"), "data", std::nullopt}, false});
  EXPECT_TRUE(report.role_created);
  EXPECT_TRUE(report.database_created);
  EXPECT_TRUE(can_log_in("app", "new", "data"));
}

TEST_F(RolesTest, SaysWhenANameIsTaken) {
  ensure_access(connect(), {"app", Secret("old"), "data", std::nullopt});
  ensure_access(connect(), {"other", Secret("old"), "others", std::nullopt});
  const auto code = [&](const std::string& role, const std::string& database) {
    try {
      hand_over(connect(), {"app", "data", {role, Secret("new"), database, std::nullopt}, false});
    } catch (const core::Error& e) {
      return e.code();
    }
    return Code::kInternal;
  };
  EXPECT_EQ(code("other", "data"), Code::kConflict);
  EXPECT_EQ(code("app", "others"), Code::kConflict);
  EXPECT_EQ(one("SELECT count(*) FROM pg_database WHERE datname IN ('data', 'others')"), "2");
}

TEST_F(RolesTest, FindsAWayIntoAStrangersCluster) {
  os::RealFileSystem files;
  cluster_.connect().execute("CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE plain LOGIN");
  write_readable_file(files, cluster_.paths().config() / "pg_hba.conf", render_hba(ClosedServerConfig{}),
                      cluster_.identity());
  cluster_.stop();
  cluster_.start();
  auto target = cluster_.target();
  target.password = Secret("");
  const std::vector<std::string> candidates = {"nobody", "plain", "boss"};
  auto connection = connect_as_superuser(target, candidates);
  EXPECT_EQ(connection.query("SELECT current_user").text(0, 0), "boss");
  ensure_management_role(connection, "manager", Secret("m"));
  ensure_management_role(connection, "manager", Secret("m2"));
  EXPECT_EQ(one("SELECT rolsuper AND rolcanlogin AND rolreplication FROM pg_roles WHERE rolname = 'manager'"), "t");
  const std::vector<std::string> wrong = {"nobody", "plain"};
  EXPECT_THROW(connect_as_superuser(target, wrong), core::Error);
}

}  // namespace
}  // namespace backstay::postgres
