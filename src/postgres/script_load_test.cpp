#include "postgres/script_load.h"

#include <fstream>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>

#include "os/file.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

class ScriptLoadTest : public ::testing::Test {
 protected:
  ScriptLoadTest() {
    std::ofstream(cluster_.paths().config() / "pg_hba.conf", std::ios::app) << "local app app trust\n";
    cluster_.server().reload();
    cluster_.query("CREATE ROLE app LOGIN");
    cluster_.query("CREATE DATABASE app OWNER app");
  }

  os::Descriptor script(const std::string& sql) {
    const auto path = directory_.path() / "script.sql";
    std::filesystem::remove(path);
    auto file = os::open_file(path, O_RDWR | O_CREAT, 0600);
    os::write_at(file.get(), 0, core::as_bytes(sql));
    return file;
  }
  ScriptLoad request(const os::Descriptor& file) {
    ScriptLoad load{.installation = cluster_.installation(),
                    .identity = cluster_.identity(),
                    .connection = cluster_.target("app"),
                    .connect_as_superuser = [this](const std::string& database) { return cluster_.connect(database); },
                    .script = file.get(),
                    .name = "backstay import test",
                    .note = [this](const std::string& mark) { noted_ = mark; }};
    load.connection.user = "app";
    return load;
  }
  LoadOutcome load(const std::string& sql, std::stop_token stop = {}) {
    const auto file = script(sql);
    return load_script(processes_, clock_, random_, request(file), std::move(stop));
  }
  std::string refusal(const std::string& sql) {
    try {
      load(sql);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kImportRefused);
      return error.message();
    }
    return "loaded";
  }
  std::string ask(const std::string& sql) { return cluster_.connect("app").query(sql).text(0, 0); }

  testing::TestCluster cluster_;
  testing::TemporaryDirectory directory_;
  os::SystemProcessRunner processes_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  std::string noted_;
};

TEST_F(ScriptLoadTest, LoadsInOneTransactionThatWasNotedBefore) {
  EXPECT_EQ(load("CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n2\n\\.\nSELECT count(*) FROM t;\n"),
            LoadOutcome::kLoaded);
  EXPECT_EQ(ask("SELECT sum(a) FROM t"), "3");
  EXPECT_EQ(ask("SELECT tableowner FROM pg_tables WHERE tablename = 't'"), "app");
  EXPECT_EQ(ask("SELECT xmin::text FROM t LIMIT 1"), noted_);
}

TEST_F(ScriptLoadTest, NothingStaysOfAScriptThatFailsAndItsLineIsNamed) {
  EXPECT_EQ(refusal("CREATE TABLE t (a int);\n\nSELECT nothing;\n").substr(0, 59),
            "line 3: ERROR:  column \"nothing\" does not exist\nLINE 1: SEL");
  EXPECT_TRUE(refusal("CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\nx\n\\.\n").starts_with("line 5: ERROR:"));
  EXPECT_EQ(ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

TEST_F(ScriptLoadTest, TheScriptHasNoMoreRightsThanItsRole) {
  EXPECT_TRUE(refusal("CREATE TABLE t (a text);\nCOPY t FROM PROGRAM 'id';\n").starts_with("line 2: ERROR:  must be"));
  EXPECT_TRUE(refusal("COPY (SELECT 1) TO '/tmp/x';\n").starts_with("line 1: ERROR:  must be"));
  EXPECT_TRUE(refusal("ALTER ROLE app SUPERUSER;\n").starts_with("line 1: ERROR:  must be"));
  EXPECT_NE(refusal("SELECT lo_import('/etc/passwd');\n").find("permission denied"), std::string::npos);
}

TEST_F(ScriptLoadTest, PsqlTakesNoCommandsWhateverThePlaceOfABackslash) {
  const auto marker = directory_.path() / "marker";
  EXPECT_NE(refusal("\\! touch " + marker.string() + "\n").find("restricted"), std::string::npos);
  EXPECT_NE(refusal("SET standard_conforming_strings = off;\nSELECT '\\'' \\! touch " + marker.string() + "\n")
                .find("restricted"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(marker));
}

TEST_F(ScriptLoadTest, NamesOfTheConnectionAreNoPartOfAScript) {
  EXPECT_NE(refusal("SELECT 1 :USER;\n").find("line 1: ERROR:  syntax error at or near \":\""), std::string::npos);
}

TEST_F(ScriptLoadTest, WhatWasCommittedIsNotLoadedAgain) {
  const auto file = script("CREATE TABLE t (a int); INSERT INTO t VALUES (1);\n");
  auto again = request(file);
  load_script(processes_, clock_, random_, again, {});
  again.mark = noted_;
  EXPECT_EQ(load_script(processes_, clock_, random_, again, {}), LoadOutcome::kLoadedBefore);
  EXPECT_EQ(ask("SELECT count(*) FROM t"), "1");
}

TEST_F(ScriptLoadTest, WhatWasNotCommittedIsLoaded) {
  refusal("SELECT nothing;\n");
  const auto file = script("CREATE TABLE t (a int);\n");
  auto again = request(file);
  again.mark = noted_;
  EXPECT_EQ(load_script(processes_, clock_, random_, again, {}), LoadOutcome::kLoaded);
}

TEST_F(ScriptLoadTest, ANumberThatWasNotedIsNobodyElsesAfterACrash) {
  cluster_.query("CHECKPOINT");
  const auto file = script("CREATE TABLE t (a int);\n");
  auto load = request(file);
  load.note = [this](const std::string& mark) {
    noted_ = mark;
    cluster_.stop(StopMode::kImmediate);
  };
  EXPECT_THROW(load_script(processes_, clock_, random_, load, {}), core::Error);
  cluster_.start();
  // Whoever comes next commits.
  cluster_.connect("app").query("CREATE TABLE somebody_elses (a int)");
  auto again = request(file);
  again.mark = noted_;
  EXPECT_EQ(load_script(processes_, clock_, random_, again, {}), LoadOutcome::kLoaded);
}

TEST_F(ScriptLoadTest, NothingRunsWhenTheTransactionCannotBeNoted) {
  const auto file = script("CREATE TABLE t (a int);\n");
  auto load = request(file);
  load.note = [](const std::string&) { throw core::Error(core::Code::kUnavailable, "no state"); };
  EXPECT_THROW(load_script(processes_, clock_, random_, load, {}), core::Error);
  EXPECT_EQ(ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

TEST_F(ScriptLoadTest, StopsInTheMiddleOfAStatement) {
  std::stop_source stop;
  std::jthread stopper([&] {
    while (
        ask("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100)%' AND pid <> pg_backend_pid()") ==
        "0") {
      clock_.wait({}, std::chrono::milliseconds(20));
    }
    stop.request_stop();
  });
  try {
    load("CREATE TABLE t (a int);\nSELECT pg_sleep(100);\n", stop.get_token());
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kCancelled);
  }
  EXPECT_EQ(ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

TEST_F(ScriptLoadTest, AServerThatGoesIsWorthAnotherTry) {
  try {
    load("CREATE TABLE t (a int);\nSELECT pg_terminate_backend(pg_backend_pid());\nSELECT 1;\n");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kDatabaseUnavailable) << error.message();
  }
}

TEST(ScriptLoadProblemTest, AnOldPsqlIsNotTrusted) {
  auto installation = testing::test_installation();
  EXPECT_EQ(load_problem(installation), std::nullopt);
  for (const char* version : {"15.13", "15beta1", "15"}) {
    installation.version = version;
    EXPECT_NE(load_problem(installation), std::nullopt) << version;
  }
  installation.bin = "/nowhere";
  EXPECT_NE(load_problem(installation), std::nullopt);
}

}  // namespace
}  // namespace backstay::postgres
