#include "cli/house_client.h"

#include <gtest/gtest.h>

#include "cli/exit_code.h"
#include "cli/testing/scripted_server.h"
#include "core/error.h"
#include "os/testing/memory_file_system.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;

class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    files_.make_directories("/state", 0700);
    files_.write_file_durably("/state/endpoint.json", core::as_bytes(R"({"url":"http://127.0.0.1:4000/"})"), 0644);
    files_.write_file_durably("/state/admin-token", core::as_bytes("of-state\n"), 0600);
    files_.write_file_durably("/token", core::as_bytes("of-file\n"), 0600);
  }
  Connection resolve(const ConnectionOptions& options) {
    return resolve_connection(
        options,
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = environment_.find(name);
          return found == environment_.end() ? std::nullopt : std::optional(found->second);
        },
        files_);
  }
  static ConnectionOptions named(std::string server, std::string token_file, std::string state_dir) {
    ConnectionOptions options;
    options.server = std::move(server);
    options.token_file = std::move(token_file);
    options.state_dir = std::move(state_dir);
    return options;
  }
  os::testing::MemoryFileSystem files_;
  std::map<std::string, std::string> environment_;
};

TEST_F(ConnectionTest, ReadsTheStateDirectory) {
  const Connection connection = resolve(named("", "", "/state"));
  EXPECT_EQ(connection.url, "http://127.0.0.1:4000");
  EXPECT_EQ(connection.token.reveal(), "of-state");
}

TEST_F(ConnectionTest, OptionsWinOverTheEnvironmentWhichWinsOverTheStateDirectory) {
  environment_ = {{"BACKSTAY_URL", "http://env:1"}, {"BACKSTAY_TOKEN", "of-env"}};
  EXPECT_EQ(resolve(named("", "", "/state")).url, "http://env:1");
  EXPECT_EQ(resolve(named("", "", "/state")).token.reveal(), "of-env");
  const Connection connection = resolve(named("http://option:1", "/token", ""));
  EXPECT_EQ(connection.url, "http://option:1");
  EXPECT_EQ(connection.token.reveal(), "of-file");
}

TEST_F(ConnectionTest, SaysHowToNameAServer) {
  EXPECT_THROW(resolve(named("", "", "")), Error);
  EXPECT_THROW(resolve(named("http://option:1", "", "")), Error);
  EXPECT_THROW(resolve(named("http://option:1", "/absent", "")), Error);
}

TEST(AnswerTest, KeepsWhatTheServerSaid) {
  const Error error = error_of_answer(400, R"({"status":400,"title":"Bad Request","detail":"the name is too long",
      "code":"invalid_argument","hint":"shorten it","traceId":"abc","errors":[{"pointer":"/name","message":"too long"}]})");
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_STREQ(error.what(), "the name is too long");
  EXPECT_EQ(error.hint(), "shorten it");
  ASSERT_EQ(error.fields().size(), 1U);
  EXPECT_EQ(error.fields().front().pointer, "/name");
}

TEST(AnswerTest, UnderstandsAnAnswerWithoutAnEnvelope) {
  EXPECT_EQ(error_of_answer(404, "<html>").code(), Code::kNotFound);
  EXPECT_EQ(error_of_answer(502, "").code(), Code::kInternal);
}

TEST(AnswerTest, NamesTheTraceOfAServerError) {
  const Error error = error_of_answer(500, R"({"status":500,"title":"x","code":"internal","traceId":"abc"})");
  EXPECT_NE(error.hint().find("abc"), std::string::npos);
}

TEST(ExitCodeTest, TellsApartWhatAScriptActsOn) {
  EXPECT_EQ(exit_code_of(Error(Code::kNotFound, "")), ExitCode::kNotFound);
  EXPECT_EQ(exit_code_of(Error(Code::kConfigError, "")), ExitCode::kUsage);
  EXPECT_EQ(exit_code_of(Error(Code::kUnavailable, "")), ExitCode::kUnreachable);
  EXPECT_EQ(exit_code_of(Error(Code::kUnauthenticated, "")), ExitCode::kRefused);
  EXPECT_EQ(exit_code_of(Error(Code::kRecoveryOutOfReach, "")), ExitCode::kRefused);
  EXPECT_EQ(exit_code_of(Error(Code::kNotSupported, "")), ExitCode::kRefused);
  EXPECT_EQ(exit_code_of(Error(Code::kRecoveryFailed, "")), ExitCode::kFailed);
}

TEST(HouseClientTest, SendsTheTokenAndEncodesTheQuery) {
  testing::ScriptedServer server;
  testing::ScriptedTransport transport(server);
  HouseClient client({.url = "http://h:1", .token = core::Secret("t0ken"), .ca_file = ""}, transport);
  server.on("GET /x?name=a%20b&limit=2", "[]");
  EXPECT_TRUE(client.get("/x", {{"name", "a b"}, {"limit", "2"}}).is_array());
  EXPECT_EQ(server.requests.front().authorization, "Bearer t0ken");
}

TEST(HouseClientTest, TurnsALostConnectionIntoUnavailable) {
  testing::ScriptedServer server;
  server.reachable = false;
  testing::ScriptedTransport transport(server);
  HouseClient client({.url = "http://h:1", .token = core::Secret("t0ken"), .ca_file = ""}, transport);
  try {
    client.get("/x");
    FAIL() << "nothing was reached";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_EQ(std::string(error.what()).find("t0ken"), std::string::npos);
  }
}

}  // namespace
}  // namespace backstay::cli
