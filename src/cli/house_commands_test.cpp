#include "cli/house_commands.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "cli/command_context.h"
#include "cli/testing/scripted_server.h"
#include "cli/testing/scripted_terminal.h"
#include "core/time.h"
#include "os/testing/memory_file_system.h"

namespace backstay::cli {
namespace {

constexpr const char* kId = "5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11";
constexpr const char* kService = R"({"id":"5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11","name":"orders",
  "provider":{"name":"postgresql","version":"15","schemaVersion":"15"},"plan":{"id":1,"parameters":{"storage":10}},
  "config":{"max_connections":"100"},"backups":{"enabled":true,"intervalH":24,"deleteRetentionDays":7,"config":{},
  "entries":[{},{}]},"status":{"state":"synchronized"},"createdAt":"2026-04-10T12:00:00Z","operationId":"op1"})";

std::string list_of_one() { return std::string("[") + kService + "]"; }

/// Waiting takes no time and all the time that was asked for.
class ImpatientClock final : public core::Clock {
 public:
  core::Timestamp now() override { return core::Timestamp(now_.time_since_epoch()); }
  core::SteadyTime steady_now() override { return core::SteadyTime(now_.time_since_epoch()); }
  bool wait(std::stop_token, core::Duration time) override {
    now_ += time;
    return true;
  }

 private:
  core::Timestamp now_;
};

class HouseCommandsTest : public ::testing::Test {
 protected:
  /// The exit code of `backstay <arguments>`.
  int run(std::vector<std::string> arguments) {
    CommandContext context({[this](const Connection&) { return std::make_unique<testing::ScriptedTransport>(server_); },
                            files_, clock_, terminal_,
                            [](const std::string& name) -> std::optional<std::string> {
                              return name == "BACKSTAY_URL" ? "http://server:1" : "token";
                            }});
    CLI::App program("test", "backstay");
    add_house_commands(program, context);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes a vector from its end
    try {
      program.parse(arguments);
      return 0;
    } catch (const CLI::RuntimeError& error) {
      return error.get_exit_code();
    } catch (const CLI::ParseError&) {
      return 2;
    }
  }

  testing::ScriptedServer server_;
  testing::ScriptedTerminal terminal_;
  os::testing::MemoryFileSystem files_;
  ImpatientClock clock_;
};

TEST_F(HouseCommandsTest, ListsServicesAsATable) {
  server_.on("GET /api/managed-services?includeDeleted=false&team=3", list_of_one());
  EXPECT_EQ(run({"services", "list", "--team", "3"}), 0);
  EXPECT_NE(terminal_.output.find("orders  postgresql:15  synchronized  every 24 h, 2 taken"), std::string::npos)
      << terminal_.output;
}

TEST_F(HouseCommandsTest, PrintsTheAnswerItselfAsJson) {
  server_.on("GET /api/managed-services?includeDeleted=false", list_of_one());
  EXPECT_EQ(run({"services", "list", "-o", "json"}), 0);
  EXPECT_EQ(core::parse_json(terminal_.output), core::parse_json(list_of_one()));
}

TEST_F(HouseCommandsTest, CreatesAServiceFromArgumentsAndFiles) {
  files_.write_file_durably("/tmp/password", core::as_bytes("pw\n"), 0600);
  server_.on("POST /api/managed-services", kService);
  EXPECT_EQ(run({"services", "create", "orders", "--team", "3", "--provider", "postgresql:15", "--plan", "1",
                 "--parameter", "storage=10", "--config", "max_connections=100", "--secret-file",
                 "password=/tmp/password", "--backups", "--backup-config", "destinationPath=s3://b/p"}),
            0)
      << terminal_.errors;
  EXPECT_EQ(core::parse_json(server_.requests.at(0).body),
            core::parse_json(R"({"teamId":3,"name":"orders","provider":{"name":"postgresql","version":"15"},
                "plan":{"id":1,"parameters":{"storage":10}},"config":{"max_connections":"100"},
                "secrets":{"password":"pw"},"backups":{"enabled":true,"intervalH":24,"deleteRetentionDays":7,
                "config":{"destinationPath":"s3://b/p"},"secrets":{}}})"));
}

TEST_F(HouseCommandsTest, MakesAndShowsSchedules) {
  const auto schedule = fmt::format(
      R"({{"id":"{}","name":"nightly","serviceId":"{}","mechanism":"physical","enabled":true,"cron":"30 2 * * *",
          "timeZone":"Europe/Berlin","retentionCount":7,"nextRuns":["2026-03-29T01:00:00Z"],
          "lastRun":{{"time":"2026-03-28T01:30:00Z","backupId":"{}","outcome":"completed"}}}})",
      kId, kId, kId);
  server_.on("POST /api/schedules", schedule);
  server_.on(fmt::format("GET /api/schedules?serviceId={}", kId), "[" + schedule + "]");
  server_.on(fmt::format("PATCH /api/schedules/{}", kId), schedule);
  EXPECT_EQ(run({"schedules", "create", kId, "--cron", "30 2 * * *", "--time-zone", "Europe/Berlin", "--keep", "7"}), 0)
      << terminal_.errors;
  EXPECT_EQ(core::parse_json(server_.requests.at(0).body),
            core::parse_json(fmt::format(
                R"({{"serviceId":"{}","cron":"30 2 * * *","timeZone":"Europe/Berlin","retentionCount":7}})", kId)));
  EXPECT_EQ(run({"schedules", "list", kId}), 0) << terminal_.errors;
  EXPECT_NE(terminal_.output.find("30 2 * * * Europe/Berlin  newest 7  2026-03-28T01:30:00Z completed  "
                                  "2026-03-29T01:00:00Z"),
            std::string::npos)
      << terminal_.output;
  EXPECT_EQ(run({"schedules", "disable", kId}), 0) << terminal_.errors;
  EXPECT_EQ(core::parse_json(server_.requests.back().body), core::parse_json(R"({"enabled":false})"));
  EXPECT_EQ(run({"schedules", "create", kId, "--cron", "@daily", "--every", "6"}), 2);
}

TEST_F(HouseCommandsTest, TakesTheOnlyTeamAndRefusesToGuess) {
  server_.on("GET /api/teams", R"([{"id":3}])");
  server_.on("GET /api/teams", R"([{"id":3},{"id":4}])");
  server_.on("POST /api/managed-services", kService);
  EXPECT_EQ(run({"services", "create", "orders", "--provider", "postgresql"}), 0) << terminal_.errors;
  EXPECT_EQ(core::parse_json(server_.requests.back().body).at("teamId"), 3);
  EXPECT_EQ(run({"services", "create", "orders", "--provider", "postgresql"}), 2);
}

TEST_F(HouseCommandsTest, SendsOnlyWhatIsToChange) {
  server_.on(std::string("PATCH /api/managed-services/") + kId, kService);
  EXPECT_EQ(run({"services", "update", kId, "--no-backups", "--config", "work_mem=8MB"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.at(0).body, R"({"config":{"work_mem":"8MB"},"backups":{"enabled":false}})");
}

TEST_F(HouseCommandsTest, RefusesAnUpdateThatChangesNothing) {
  EXPECT_EQ(run({"services", "update", kId}), 2);
  EXPECT_TRUE(server_.requests.empty());
}

TEST_F(HouseCommandsTest, DeletesOnlyWhenTheNameIsConfirmed) {
  server_.on("GET /api/managed-services?includeDeleted=true", list_of_one());
  server_.on(std::string("DELETE /api/managed-services/") + kId, "");
  EXPECT_EQ(run({"services", "delete", "orders"}), 2);
  EXPECT_EQ(run({"services", "delete", "orders", "--confirm", "order"}), 2);
  terminal_.answers = {"other"};
  EXPECT_EQ(run({"services", "delete", "orders"}), 2);
  for (const auto& seen : server_.requests) EXPECT_TRUE(seen.target.starts_with("GET")) << seen.target;

  terminal_.answers = {"orders"};
  EXPECT_EQ(run({"services", "delete", "orders"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().target, std::string("DELETE /api/managed-services/") + kId);
}

TEST_F(HouseCommandsTest, PausesResumesUndeletesAndDeletesWithoutAFinalBackup) {
  const std::string service = std::string("/api/managed-services/") + kId;
  server_.on("PATCH " + service, kService);
  server_.on("POST " + service + "/undelete", kService);
  server_.on("GET /api/managed-services?includeDeleted=true", list_of_one());
  server_.on("DELETE " + service + "?finalBackup=skip", "");
  EXPECT_EQ(run({"services", "pause", kId}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"pause":true})");
  EXPECT_EQ(run({"services", "resume", kId}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"pause":false})");
  EXPECT_EQ(run({"services", "undelete", kId}), 0) << terminal_.errors;
  EXPECT_EQ(run({"services", "delete", "orders", "--confirm", "orders", "--final-backup", "skip"}), 0)
      << terminal_.errors;
}

TEST_F(HouseCommandsTest, RestoresSwitchesAndShowsInstances) {
  const std::string service = std::string("/api/managed-services/") + kId;
  server_.on("POST /api/recoveries",
             std::string(R"({"operationId":"one","description":"a backup","service":)") + kService + "}");
  server_.on("POST " + service + "/switch", kService);
  server_.on("GET " + service + "/instances",
             R"([{"id":"a","state":"serving","served":[{"from":"2026-04-10T12:00:00Z"}]},)"
             R"({"id":"b","state":"stopped","served":[],"keptUntil":"2026-04-11T12:00:00Z"}])");
  EXPECT_EQ(run({"services", "restore", kId, "--time", "2026-04-10T12:00:00Z", "--into", "in-place"}), 0)
      << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body,
            std::string(R"({"serviceId":")") + kId + R"(","into":"in-place","time":"2026-04-10T12:00:00Z"})");
  EXPECT_EQ(run({"services", "switch", kId, "--instance", "b"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"instanceId":"b"})");
  EXPECT_EQ(run({"services", "switch", kId, "--back"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"back":true})");
  EXPECT_EQ(run({"services", "instances", kId}), 0) << terminal_.errors;
  EXPECT_NE(terminal_.output.find("2026-04-11T12:00:00Z"), std::string::npos) << terminal_.output;
}

TEST_F(HouseCommandsTest, ImportsADumpFromHereOrThere) {
  const std::string imports = std::string("POST /api/managed-services/") + kId + "/imports";
  server_.on(imports + "?format=plain", R"({"id":"op","kind":"import","state":"queued"})");
  server_.on(imports, R"({"id":"op","kind":"import","state":"queued"})");
  const auto file = std::filesystem::temp_directory_path() / fmt::format("import-{}.sql", ::getpid());
  std::ofstream(file) << "SELECT 1;";
  EXPECT_EQ(run({"services", "import", kId, "--file", file.string(), "--format", "plain"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, "SELECT 1;");
  std::filesystem::remove(file);
  EXPECT_NE(terminal_.output.find("import op: queued"), std::string::npos) << terminal_.output;
  EXPECT_EQ(run({"services", "import", kId, "--path", "shop.dump", "--destination", "place"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"path":"shop.dump","destinationId":"place"})");
  EXPECT_EQ(run({"services", "import", kId, "--backup", "b"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"backupId":"b"})");
  EXPECT_EQ(run({"services", "import", kId}), 2) << "from somewhere";
  EXPECT_EQ(run({"services", "import", kId, "--url", "https://x", "--backup", "b"}), 2) << "from one place";
}

TEST_F(HouseCommandsTest, RefusesANameThatTwoServicesHave) {
  const std::string two = std::string("[") + kService + "," + kService + "]";
  server_.on("GET /api/managed-services?includeDeleted=true", two);
  EXPECT_EQ(run({"services", "show", "orders"}), 2);
  EXPECT_NE(terminal_.errors.find("name it by its id"), std::string::npos);
}

TEST_F(HouseCommandsTest, RecoversWithTheSourcesOwnSettings) {
  server_.on("GET /api/managed-services?includeDeleted=true", list_of_one());
  server_.on(std::string("GET /api/backups?serviceId=") + kId, R"([{"teamId":3}])");
  server_.on("POST /api/managed-services", kService);
  EXPECT_EQ(run({"recover", "again", "--service", "orders", "--time", "2026-04-10T12:00:00Z"}), 0) << terminal_.errors;
  const auto body = core::parse_json(server_.requests.back().body);
  EXPECT_EQ(body.at("teamId"), 3);
  EXPECT_EQ(body.at("name"), "again");
  EXPECT_EQ(body.at("config"), core::parse_json(R"({"max_connections":"100"})"));
  EXPECT_EQ(body.at("recoverFrom"), core::parse_json(std::string(R"({"config":{},"secrets":{},"msId":")") + kId +
                                                     R"(","time":"2026-04-10T12:00:00Z"})"));
  EXPECT_EQ(run({"recover", "again", "--service", "orders", "--keep-logins"}), 0) << terminal_.errors;
  EXPECT_EQ(core::parse_json(server_.requests.back().body).at("recoverFrom").at("keepLogins"), true);
}

TEST_F(HouseCommandsTest, WaitsForTheOperationAndShowsItsFailure) {
  server_.on(std::string("PATCH /api/managed-services/") + kId, kService);
  server_.on("GET /api/operations/op1", R"({"kind":"update","state":"running","step":"restart"})");
  server_.on("GET /api/operations/op1", R"({"kind":"update","state":"failed","step":"restart",
      "error":{"code":"process_failed","message":"postgres ended","nextStep":"look at its log"}})");
  EXPECT_EQ(run({"services", "update", kId, "--config", "a=b", "--wait"}), 1);
  EXPECT_EQ(terminal_.errors, "error: update failed: postgres ended\nhint: look at its log\n");
}

TEST_F(HouseCommandsTest, ListensToTheOperationsEvents) {
  server_.on("GET /api/operations/op1/events",
             ": hello\n\nid: a\nevent: operation\ndata: {\"kind\":\"backup\",\"state\":\"running\"}\n\n"
             "id: b\nevent: operation\ndata: {\"kind\":\"backup\",\"state\":\"succeeded\"}\n\n");
  EXPECT_EQ(run({"operations", "wait", "op1"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.size(), 1u) << "nothing has to be asked beside";
}

TEST_F(HouseCommandsTest, ListensAgainWhereTheEventsBrokeOff) {
  server_.on("GET /api/operations/op1/events",
             "id: a\nevent: operation\ndata: {\"kind\":\"backup\",\"state\":\"running\"}\n\nid: b\nevent: oper");
  server_.on("GET /api/operations/op1/events",
             "id: b\nevent: operation\ndata: {\"kind\":\"backup\",\"state\":\"succeeded\"}\n\n");
  EXPECT_EQ(run({"operations", "wait", "op1"}), 0) << terminal_.errors;
  ASSERT_EQ(server_.requests.size(), 2u);
  EXPECT_EQ(server_.requests[0].last_event_id, "");
  EXPECT_EQ(server_.requests[1].last_event_id, "a");
}

TEST_F(HouseCommandsTest, AsksOnlyWhereEventsBringNothing) {
  server_.on("GET /api/operations/op1/events", ": still here\n\n");
  server_.on("GET /api/operations/op1", R"({"kind":"backup","state":"running"})");
  server_.on("GET /api/operations/op1", R"({"kind":"backup","state":"succeeded"})");
  EXPECT_EQ(run({"operations", "wait", "op1"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.size(), 4u);
}

TEST_F(HouseCommandsTest, GivesUpWaitingAtTheTimeout) {
  server_.on("GET /api/operations/op1", R"({"kind":"update","state":"running"})");
  EXPECT_EQ(run({"operations", "wait", "op1", "--timeout", "30"}), 1);
  EXPECT_NE(terminal_.errors.find("has not ended after 30 s"), std::string::npos) << terminal_.errors;
}

TEST_F(HouseCommandsTest, DrawsProgressForAPerson) {
  terminal_.person_watches = true;
  server_.on(
      "GET /api/operations/op1",
      R"({"kind":"backup","state":"running","step":"copy","progress":{"phase":"files","done":512,"total":1024}})");
  server_.on("GET /api/operations/op1", R"({"id":"op1","kind":"backup","state":"succeeded"})");
  EXPECT_EQ(run({"operations", "wait", "op1"}), 0);
  EXPECT_NE(terminal_.errors.find("[############............]  50%  backup: files"), std::string::npos)
      << terminal_.errors;
}

TEST_F(HouseCommandsTest, RendersARefusalWithItsFields) {
  server_.on("POST /api/teams", R"({"status":400,"title":"Bad Request","detail":"the body is refused",
      "code":"invalid_argument","hint":"correct it","traceId":"t","errors":[{"pointer":"/name","message":"is empty"}]})",
             400);
  EXPECT_EQ(run({"teams", "create", ""}), 4);
  EXPECT_EQ(terminal_.errors, "error: the body is refused\n  /name: is empty\nhint: correct it\n");
}

TEST_F(HouseCommandsTest, TellsExitCodesApart) {
  EXPECT_EQ(run({"backups", "show", "b1"}), 3);
  server_.reachable = false;
  EXPECT_EQ(run({"providers", "list"}), 5);
  EXPECT_EQ(run({"providers", "list", "--no-such-option"}), 2);
}

TEST_F(HouseCommandsTest, ShowsANewTokenOnce) {
  server_.on("POST /api/tokens", R"({"id":"t1","name":"ci","token":"bst_abc"})");
  EXPECT_EQ(run({"tokens", "create", "ci", "--scope", "read", "--team", "3"}), 0) << terminal_.errors;
  EXPECT_EQ(terminal_.output, "bst_abc\n");
  EXPECT_EQ(server_.requests.at(0).body, R"({"name":"ci","scopes":["read"],"teamIds":[3]})");
}

TEST_F(HouseCommandsTest, WaitsUntilABackupWasReadBack) {
  server_.on(std::string("POST /api/managed-services/") + kId + "/backups", R"({"id":"b1"})");
  server_.on("GET /api/backups/b1", R"({"id":"b1","state":"running","storedAt":"2026-04-10T12:00:00Z"})");
  server_.on("GET /api/backups/b1", R"({"id":"b1","state":"completed","confirmedAt":"2026-04-10T12:00:05Z"})");
  EXPECT_EQ(run({"backups", "create", kId, "--wait"}), 0) << terminal_.errors;
  EXPECT_NE(terminal_.output.find("confirmedAt   2026-04-10T12:00:05Z"), std::string::npos) << terminal_.output;
}

TEST_F(HouseCommandsTest, ABackupGoesWhereItIsSent) {
  server_.on(std::string("POST /api/managed-services/") + kId + "/backups", R"({"id":"b1"})");
  EXPECT_EQ(run({"backups", "create", kId, "--destination", "d1", "--label", "off site"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.at(0).body, R"({"destinationId":"d1","label":"off site"})");
}

TEST_F(HouseCommandsTest, OnlyWhatIsGivenOfADestinationChanges) {
  server_.on("PATCH /api/destinations/d1", R"({"id":"d1","name":"store"})");
  EXPECT_EQ(run({"destinations", "update", "d1", "--config", "region=eu"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.at(0).body, R"({"config":{"region":"eu"}})");
}

TEST_F(HouseCommandsTest, ADumpIsAskedForAndDownloadedAsAWhole) {
  server_.on(std::string("POST /api/managed-services/") + kId + "/backups", R"({"id":"b1"})");
  EXPECT_EQ(run({"backups", "create", kId, "--logical"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.at(0).body, R"({"mechanism":"logical"})");

  server_.on("GET /api/backups/b1/dump", "SELECT 1;\n");
  EXPECT_EQ(run({"backups", "download", "b1", "-o", "/dump.sql"}), 0) << terminal_.errors;
  EXPECT_EQ(core::as_text(files_.read_file("/dump.sql")), "SELECT 1;\n");
  EXPECT_EQ(run({"backups", "download", "b1", "-o", "-"}), 0);
  EXPECT_NE(terminal_.output.find("SELECT 1;\n"), std::string::npos);
  EXPECT_EQ(run({"backups", "download", "b2", "-o", "/other.sql"}), 3);
  EXPECT_FALSE(files_.stat("/other.sql"));
  EXPECT_FALSE(files_.stat("/other.sql.part"));
}

TEST_F(HouseCommandsTest, ABackupIsPinnedUnpinnedAndDeleted) {
  server_.on("PATCH /api/backups/b1", R"({"id":"b1","pinned":true})");
  EXPECT_EQ(run({"backups", "pin", "b1", "--label", "before the move"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.at(0).body, R"({"pinned":true,"label":"before the move"})");
  server_.on("PATCH /api/backups/b1", R"({"id":"b1","pinned":false})");
  EXPECT_EQ(run({"backups", "unpin", "b1"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.at(1).body, R"({"pinned":false})");
  server_.on("DELETE /api/backups/b1", R"({"id":"b1","state":"deleting"})");
  EXPECT_EQ(run({"backups", "delete", "b1"}), 0) << terminal_.errors;
}

TEST_F(HouseCommandsTest, EventsAreFiltered) {
  server_.on(
      "GET "
      "/api/events?limit=50&team=3&name=backup.%2A%2Cservice.deleted&severity=warning&since=2026-04-10T00%3A00%3A00Z",
      R"([{"timestamp":"2026-04-10T12:00:00Z","eventName":"backup.failed","body":"no answer"}])");
  EXPECT_EQ(run({"events", "--name", "backup.*,service.deleted", "--severity", "warning", "--since",
                 "2026-04-10T00:00:00Z", "--team", "3"}),
            0)
      << terminal_.errors;
  EXPECT_NE(terminal_.output.find("backup.failed"), std::string::npos);
  EXPECT_EQ(run({"events", "--severity", "loud"}), 2);
}

TEST_F(HouseCommandsTest, AWebhookIsMadeAndItsSecretShownOnce) {
  server_.on("POST /api/webhooks", R"({"id":"w1","name":"pager","secret":"whsec_x","events":["backup.*"]})");
  EXPECT_EQ(run({"webhooks", "create", "pager", "https://pager.example/in", "--event", "backup.*", "--team", "3"}), 0)
      << terminal_.errors;
  EXPECT_EQ(terminal_.output, "whsec_x\n");
  EXPECT_EQ(server_.requests.at(0).body,
            R"({"teamId":3,"name":"pager","url":"https://pager.example/in","events":["backup.*"]})");
}

TEST_F(HouseCommandsTest, AWebhookIsChangedTestedAndItsMessagesSentAgain) {
  server_.on("PATCH /api/webhooks/w1", R"({"id":"w1","name":"pager","events":["backup.*"],"enabled":false})");
  EXPECT_EQ(run({"webhooks", "change", "w1", "--disable"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"enabled":false})");
  EXPECT_EQ(run({"webhooks", "change", "w1", "--disable", "--enable"}), 2);
  server_.on("POST /api/webhooks/w1/test", R"({"id":"d1","state":"pending"})");
  EXPECT_EQ(run({"webhooks", "test", "w1"}), 0);
  server_.on("GET /api/webhooks/w1/deliveries?limit=5", R"([{"id":"d1","eventName":"webhook.test","state":"failed"}])");
  EXPECT_EQ(run({"webhooks", "deliveries", "w1", "--limit", "5"}), 0);
  EXPECT_NE(terminal_.output.find("webhook.test"), std::string::npos);
  server_.on("POST /api/webhooks/w1/deliveries/d1/redeliver", R"({"id":"d1","state":"pending"})");
  EXPECT_EQ(run({"webhooks", "redeliver", "w1", "d1"}), 0);
  server_.on("DELETE /api/webhooks/w1", "{}");
  EXPECT_EQ(run({"webhooks", "delete", "w1"}), 0);
}

TEST_F(HouseCommandsTest, TheAuditLogIsFiltered) {
  server_.on(
      "GET /api/audit?limit=50&operation=managed-services-delete&refused=true",
      R"([{"at":"2026-04-10T12:00:00Z","token":{"name":"ci"},"operation":"managed-services-delete","status":403}])");
  EXPECT_EQ(run({"audit", "--operation", "managed-services-delete", "--refused"}), 0) << terminal_.errors;
  EXPECT_NE(terminal_.output.find("ci"), std::string::npos);
  EXPECT_NE(terminal_.output.find("403"), std::string::npos);
}

TEST_F(HouseCommandsTest, ALostDestinationIsNamedTwice) {
  server_.on("POST /api/destinations/d1/lost", R"({"id":"d1","name":"old","url":"s3://old/"})");
  EXPECT_EQ(run({"destinations", "lost", "d1"}), 2);
  EXPECT_EQ(run({"destinations", "lost", "d1", "--name", "old"}), 0) << terminal_.errors;
  EXPECT_EQ(server_.requests.back().body, R"({"name":"old"})");
}

}  // namespace
}  // namespace backstay::cli
