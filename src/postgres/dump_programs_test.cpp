#include "postgres/dump_programs.h"

#include <gtest/gtest.h>

namespace backstay::postgres {
namespace {

TEST(DumpProgramsTest, NoSecretAndNoLongPathIsAmongTheArguments) {
  const Installation installation{15, "15.20", "/usr/lib/postgresql/15/bin"};
  DumpTask task{.installation = installation, .directory = "/scratch/dump", .jobs = 3};
  task.connection.socket_directory = "/a/very/long/way/socket";
  task.connection.user = "keeper";
  task.connection.password = core::Secret("hidden");
  task.connection.database = "it's";
  const auto command = dump_command(task);
  EXPECT_EQ(command.directory, "/a/very/long/way/socket");
  EXPECT_EQ(command.environment.at("PGPASSWORD"), "hidden");
  EXPECT_EQ(command.environment.at("PGUSER"), "keeper");
  EXPECT_NE(std::ranges::find(command.argv, "--dbname=dbname='it\\'s'"), command.argv.end());
  EXPECT_NE(std::ranges::find(command.argv, "--jobs=3"), command.argv.end());
  for (const auto& argument : command.argv) EXPECT_EQ(argument.find("hidden"), std::string::npos);
}

TEST(DumpProgramsTest, WhatWasMadeBeforeIsLeftOutAndNothingElse) {
  const std::string contents =
      "; Selected TOC Entries:\n"
      "2; 3079 16385 EXTENSION - postgres_fdw \n"
      "3400; 0 0 COMMENT - EXTENSION postgres_fdw \n"
      "3; 3079 16400 EXTENSION - postgres_fdw_more \n"
      "5; 2615 16399 SCHEMA - tools app\n"
      "6; 2615 16401 SCHEMA - tools2 app\n"
      "200; 1259 16402 TABLE tools kept app\n";
  EXPECT_EQ(without_made(contents, std::vector<std::string>{"postgres_fdw"}, std::vector<std::string>{"tools"}),
            "; Selected TOC Entries:\n"
            "3; 3079 16400 EXTENSION - postgres_fdw_more \n"
            "6; 2615 16401 SCHEMA - tools2 app\n"
            "200; 1259 16402 TABLE tools kept app\n\n");
}

TEST(DumpProgramsTest, AListThatMayLackItsBeginningIsRefused) {
  EXPECT_EQ(whole_contents({.output = "123456789"}, 10), "123456789");
  try {
    whole_contents({.output = "1234567890"}, 10);
    FAIL() << "what is longer is cut off in front";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kRecoveryFailed);
    EXPECT_NE(error.message().find("table of contents"), std::string::npos) << error.message();
  }
  EXPECT_THROW(whole_contents({.exit_code = 1, .error = "pg_restore: error: no"}, 10), core::Error);
}

core::Error error_of(std::string said, core::Code code, int exit_code = 1) {
  return dump_error({.exit_code = exit_code, .error = std::move(said)}, code);
}

TEST(DumpProgramsTest, AnErrorNamesItsObject) {
  const auto refused = error_of(
      "pg_restore: creating TABLE \"error: it is called so\"\n"
      "pg_restore: while PROCESSING TOC:\n"
      "pg_restore: from TOC entry 215; 1255 16390 FUNCTION f(integer) app\n"
      "pg_restore: error: could not execute query: ERROR:  permission denied for language c\n"
      "Command was: CREATE FUNCTION …\n",
      core::Code::kRecoveryFailed);
  EXPECT_EQ(refused.code(), core::Code::kRecoveryFailed);
  EXPECT_EQ(refused.message(),
            "FUNCTION f(integer): could not execute query: ERROR:  permission denied for language c");

  const auto full =
      error_of("pg_dump: error: could not write to file: No space left on device\n", core::Code::kDatabaseError);
  EXPECT_EQ(full.code(), core::Code::kDiskFull);

  const auto failed = error_of(
      "pg_dump: error: Dumping the contents of table \"t\" failed: PQgetResult() failed.\n"
      "pg_dump: detail: Error message from server: ERROR:  invalid page\n"
      "pg_dump: detail: Command was: COPY …\n",
      core::Code::kDatabaseError);
  EXPECT_EQ(failed.message(),
            "Dumping the contents of table \"t\" failed: PQgetResult() failed.; Error message from server: ERROR:  "
            "invalid page");
}

TEST(DumpProgramsTest, AProgramThatWasEndedSaysNothingOfTheDump) {
  const auto ended = error_of("pg_restore: connecting to database for restore\n", core::Code::kRecoveryFailed, 137);
  EXPECT_EQ(ended.code(), core::Code::kUnavailable);
  EXPECT_EQ(ended.message(), "the program was ended by signal 9");
}

TEST(DumpProgramsTest, AnInstallationWithoutPgDumpSaysSo) {
  const Installation installation{99, "99.1", "/nowhere/bin"};
  EXPECT_EQ(dump_problem(installation),
            "there is no pg_dump of PostgreSQL 99 on this machine ('/nowhere/bin/pg_dump')");
}

}  // namespace
}  // namespace backstay::postgres
