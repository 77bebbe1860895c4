#include "api/house/routes.h"

#include <gtest/gtest.h>

#include "api/errors.h"
#include "api/testing/described.h"
#include "control/testing/control_world.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;

class HouseApiTest : public ::testing::Test {
 protected:
  HouseApiTest() {
    add_routes(routes_, {.commands = *world_.commands,
                         .queries = *world_.queries,
                         .feed = world_.feed,
                         .authentication = authentication_,
                         .metrics = world_.metrics,
                         .ready = [this] { return ready_; },
                         .public_url = "",
                         .version = "9.9.9"});
    token_ = make_token({"admin"}, true);
    document_ = core::parse_json(handle(request("GET", "/api/openapi.json")).body).as_object();
  }

  std::string make_token(std::vector<std::string> scopes, bool all_teams) {
    control::CreateTokenRequest request;
    request.name = "test";
    request.scopes = std::move(scopes);
    request.all_teams = all_teams;
    if (!all_teams) request.team_ids = {world_.team_id};
    return world_.commands->create_token(request, world_.admin).text.reveal();
  }

  http::Request request(const std::string& method, const std::string& target, const std::string& body = "") {
    http::Request request;
    request.method = method;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = http::parse_query(target.substr(question + 1));
    request.body = body;
    request.client = "192.0.2.7";
    request.trace_id = std::string(32, '0');
    request.headers.set("Host", "backstay.example");
    if (!token_.empty()) request.headers.set("Authorization", "Bearer " + token_);
    return request;
  }

  /// As the server answers: errors rendered.
  http::Response send(const http::Request& request) {
    auto response = handle(request);
    if (!response.stream) testing::expect_described(request, response, document_);
    return response;
  }
  http::Response send(const std::string& method, const std::string& target, const std::string& body = "") {
    return send(request(method, target, body));
  }
  json::value answer(const std::string& method, const std::string& target, const std::string& body = "") {
    const auto response = send(method, target, body);
    EXPECT_EQ(response.status, 200) << method << ' ' << target << ": " << response.body;
    EXPECT_EQ(response.headers.find("Content-Type"), "application/json");
    return core::parse_json(response.body);
  }
  std::string create_body(const std::string& name = "orders") const {
    return fmt::format(
        R"({{"teamId":{},"name":"{}","provider":{{"name":"postgresql","version":"15"}},)"
        R"("plan":{{"id":1,"parameters":{{"storage":10}}}},"secrets":{{"password":"not-to-be-shown"}}}})",
        world_.team_id, name);
  }
  json::object create(const std::string& name = "orders") {
    return answer("POST", "/managed-services", create_body(name)).as_object();
  }

  http::Response handle(const http::Request& request) {
    try {
      return router_.handle(request);
    } catch (const core::Error& error) {
      return error_response(request, error);
    }
  }

  control::testing::ControlWorld world_;
  Authentication authentication_{[this](std::string_view token) { return world_.commands->authenticate(token); }};
  bool ready_ = true;
  http::Router router_;
  RouteTable routes_ = make_route_table(router_, authentication_);
  std::string token_;
  json::object document_;
};

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

TEST_F(HouseApiTest, AsksEveryRouteForATokenButHealthAndReadiness) {
  token_.clear();
  for (const std::string& route : router_.routes()) {
    const auto parts = core::split(route, ' ');
    const auto response = send(parts[0], parts[1]);
    const bool open =
        parts[1] == "/health" || parts[1] == "/ready" || parts[1] == "/api/docs" || parts[1] == "/api/openapi.json";
    EXPECT_EQ(response.status, open ? 200 : 401) << route << ": " << response.body;
  }
}

TEST_F(HouseApiTest, ServesTheContractAtBothBaseUrls) {
  const auto routes = router_.routes();
  const auto has = [&](const std::string& route) {
    return std::find(routes.begin(), routes.end(), route) != routes.end();
  };
  for (const std::string route :
       {"GET /managed-services/providers", "POST /managed-services", "GET /managed-services",
        "GET /managed-services/{id}", "GET /managed-services/{id}/details", "PATCH /managed-services/{id}",
        "DELETE /managed-services/{id}", "POST /managed-services/{id}/backups", "GET /teams", "POST /teams",
        "GET /teams/{id}"}) {
    const auto space = route.find(' ');
    EXPECT_TRUE(has(route)) << route;
    EXPECT_TRUE(has(route.substr(0, space + 1) + "/api" + route.substr(space + 1))) << route;
  }
}

TEST_F(HouseApiTest, ListsTheCatalogueWithEveryRequiredField) {
  const auto list = answer("GET", fmt::format("/managed-services/providers?teamId={}", world_.team_id));
  ASSERT_FALSE(list.as_array().empty());
  for (const auto& provider : list.as_array()) {
    for (const std::string field :
         {"name", "version", "schemaVersion", "author", "category", "description", "displayName", "iconUrl",
          "configSchema", "detailsSchema", "secretsSchema", "plans", "backend", "capabilities", "backups"}) {
      EXPECT_TRUE(provider.as_object().contains(field)) << field;
    }
    EXPECT_EQ(core::to_text(provider.at("backend")), R"({"api":{"endpoint":"builtin:postgresql"}})");
  }
}

TEST_F(HouseApiTest, CreatesAServiceAndShowsItEverywhere) {
  const auto created = create();
  const std::string id = text_of(created.at("id"));
  EXPECT_EQ(created.at("status").at("state"), "creating");
  EXPECT_TRUE(created.contains("operationId"));
  EXPECT_EQ(text_of(answer("GET", "/managed-services/" + id).at("operationId")), text_of(created.at("operationId")));
  world_.settle();
  const auto shown = answer("GET", "/api/managed-services/" + id);
  EXPECT_EQ(text_of(shown.at("status").at("detailsRef")),
            "http://backstay.example/api/managed-services/" + id + "/details");
  EXPECT_FALSE(shown.as_object().contains("operationId"));
  const auto details = answer("GET", "/managed-services/" + id + "/details");
  for (const auto& [key, value] : details.as_object()) EXPECT_EQ(shown.at(key), value) << key;
  const auto list = answer("GET", fmt::format("/managed-services?team={}&includeDeleted=false", world_.team_id));
  ASSERT_EQ(list.as_array().size(), 1U);
  EXPECT_EQ(list.at(0).at("id"), shown.at("id"));
  EXPECT_EQ(core::to_text(list).find("not-to-be-shown"), std::string::npos);
}

TEST_F(HouseApiTest, RenamesAndDeletesAService) {
  const std::string id = text_of(create().at("id"));
  world_.settle();
  EXPECT_EQ(answer("PATCH", "/managed-services/" + id, R"({"name":"renamed"})").at("name"), "renamed");
  const auto deleting = answer("DELETE", "/managed-services/" + id);
  EXPECT_EQ(deleting.at("status").at("state"), "deleting");
  EXPECT_TRUE(deleting.at("status").as_object().contains("deletedAt"));
  world_.settle();
  EXPECT_TRUE(answer("GET", "/managed-services").as_array().empty());
}

TEST_F(HouseApiTest, HidesOtherTeamsServices) {
  const std::string id = text_of(create().at("id"));
  world_.settle();
  control::CreateTokenRequest other;
  other.name = "other";
  other.scopes = {"write"};
  other.team_ids = {world_.commands->create_team({.name = "other", .slug = std::nullopt}, world_.admin).id};
  token_ = world_.commands->create_token(other, world_.admin).text.reveal();
  EXPECT_EQ(send("GET", "/managed-services/" + id).status, 404);
  EXPECT_EQ(send("DELETE", "/managed-services/" + id).status, 404);
  EXPECT_EQ(send("GET", "/api/managed-services/" + id + "/recovery-window").status, 404);
  EXPECT_TRUE(answer("GET", "/managed-services").as_array().empty());
  EXPECT_EQ(send("POST", "/managed-services", create_body()).status, 400);
}

TEST_F(HouseApiTest, LetsAMetricsTokenReadMetricsOnly) {
  token_ = make_token({"metrics"}, true);
  EXPECT_EQ(send("GET", "/metrics").status, 200);
  for (const std::string path : {"/managed-services", "/managed-services/providers", "/teams", "/api/operations",
                                 "/api/events", "/api/destinations", "/tokens"}) {
    const int status = send("GET", path).status;
    EXPECT_TRUE(status == 401 || status == 403) << path << ' ' << status;
  }
}

TEST_F(HouseApiTest, LetsThisMachineReadMetricsUnlessAProxySpeaks) {
  token_.clear();
  auto local = request("GET", "/metrics");
  local.client = "127.0.0.1";
  EXPECT_EQ(send(local).status, 200);
  local.headers.set("X-Forwarded-For", "203.0.113.9");
  EXPECT_EQ(send(local).status, 401);
}

TEST_F(HouseApiTest, LetsAReaderReadOnly) {
  token_ = make_token({"read"}, false);
  EXPECT_EQ(send("GET", "/managed-services").status, 200);
  EXPECT_EQ(send("POST", "/managed-services", create_body()).status, 401);
  EXPECT_EQ(send("POST", "/teams", R"({"name":"x"})").status, 401);
  EXPECT_EQ(send("POST", "/tokens", R"({"name":"x","scopes":["admin"]})").status, 403);
}

TEST_F(HouseApiTest, SaysWhatIsNotThereYet) {
  const std::string id = text_of(create().at("id"));
  world_.settle();
  const auto expect_not_supported = [&](const std::string& method, const std::string& path, const std::string& body) {
    const auto response = send(method, path, body);
    EXPECT_EQ(response.status, 400) << method << ' ' << path;
    EXPECT_NE(response.body.find("\"code\":\"not_supported\""), std::string::npos) << response.body;
  };
  expect_not_supported("PATCH", "/managed-services/" + id, R"({"pause":true})");
  expect_not_supported("POST", "/managed-services/providers", "{}");
  expect_not_supported("PUT", "/managed-services/providers", "{}");
  expect_not_supported("DELETE", "/managed-services/providers/postgres/v1", "");
}

TEST_F(HouseApiTest, ShowsATokenOnce) {
  const auto created =
      answer("POST", "/tokens", fmt::format(R"({{"name":"ci","scopes":["read"],"teamIds":[{}]}})", world_.team_id));
  const std::string text = text_of(created.at("token"));
  EXPECT_EQ(core::to_text(answer("GET", "/tokens")).find(text), std::string::npos);
  const std::string admin = std::exchange(token_, text);
  EXPECT_EQ(send("GET", "/teams").status, 200);
  token_ = admin;
  answer("DELETE", "/api/tokens/" + text_of(created.at("id")));
  token_ = text;
  EXPECT_EQ(send("GET", "/teams").status, 401);
}

TEST_F(HouseApiTest, ListsTheOperatorsDestinationsOnce) {
  answer("POST", "/teams", R"({"name":"second"})");
  const auto made = answer(
      "POST", "/api/destinations",
      fmt::format(R"({{"teamId":{},"name":"main","config":{{"destinationPath":"file:///b"}}}})", world_.team_id));
  EXPECT_TRUE(made.at("checks").is_array());
  const auto list = answer("GET", "/api/destinations");
  ASSERT_EQ(list.as_array().size(), 1U);
  EXPECT_EQ(list.at(0).at("id"), made.at("id"));
  answer("DELETE", "/api/destinations/" + text_of(made.at("id")));
  EXPECT_TRUE(answer("GET", "/api/destinations").as_array().empty());
}

TEST_F(HouseApiTest, RefusesWhatItCannotRead) {
  EXPECT_EQ(send("POST", "/managed-services", "{").status, 400);
  EXPECT_EQ(send("POST", "/managed-services", "").status, 400);
  EXPECT_EQ(send("POST", "/managed-services", "[]").status, 400);
  EXPECT_EQ(send("GET", "/managed-services?team=x").status, 400);
  EXPECT_EQ(send("GET", "/managed-services?unknown=x").status, 200) << "clients differ in age";
  EXPECT_EQ(send("GET", "/api/operations?unknown=x").status, 400);
  EXPECT_EQ(send("GET", "/api/operations?limit=1001").status, 400);
  EXPECT_EQ(send("GET", "/managed-services/YOUR_SERVICE_ID").status, 404);
  EXPECT_EQ(send("GET", "/api/backups").status, 400);
  EXPECT_TRUE(answer("GET", "/managed-services?team=999999").as_array().empty());
}

TEST_F(HouseApiTest, IsReadyWhenTheServerSaysSo) {
  ready_ = false;
  EXPECT_EQ(send("GET", "/ready").status, 503);
  EXPECT_EQ(send("GET", "/health").status, 200);
}

/// Keeps what a stream writes; "goes away" after a number of writes.
class Listener final : public http::StreamWriter {
 public:
  explicit Listener(std::size_t patience) : patience_(patience) {}
  bool write(std::string_view bytes) override {
    written.emplace_back(bytes);
    return written.size() < patience_;
  }
  std::vector<std::string> written;

 private:
  std::size_t patience_;
};

TEST_F(HouseApiTest, StreamsAnOperationUntilItHasEnded) {
  const std::string operation = text_of(create().at("operationId"));
  const auto response = send("GET", "/api/operations/" + operation + "/events");
  EXPECT_EQ(response.headers.find("Content-Type"), "text/event-stream");
  Listener gone(1);
  response.stream(gone, {});
  ASSERT_EQ(gone.written.size(), 1U);
  EXPECT_NE(gone.written[0].find(R"("state":"queued")"), std::string::npos);
  world_.settle();
  Listener patient(100);
  response.stream(patient, {});
  ASSERT_EQ(patient.written.size(), 1U);
  EXPECT_TRUE(patient.written[0].starts_with("event: operation\ndata: {")) << patient.written[0];
  EXPECT_NE(patient.written[0].find(R"("state":"succeeded")"), std::string::npos);
}

TEST_F(HouseApiTest, StreamsChangesAsTheyCome) {
  const std::string operation = text_of(create().at("operationId"));
  const auto response = send("GET", "/api/operations/" + operation + "/events");
  Listener listener(100);
  std::jthread stream([&](const std::stop_token& stop) { response.stream(listener, stop); });
  answer("POST", "/api/operations/" + operation + "/cancel");
  stream.join();
  EXPECT_NE(listener.written.back().find(R"("state":"cancelled")"), std::string::npos) << listener.written.back();
}

TEST_F(HouseApiTest, EndsAStreamWhenTheServerStops) {
  const std::string operation = text_of(create().at("operationId"));
  const auto response = send("GET", "/api/operations/" + operation + "/events");
  Listener listener(100);
  std::jthread stream([&](const std::stop_token& stop) { response.stream(listener, stop); });
  stream.request_stop();
  stream.join();
  EXPECT_LE(listener.written.size(), 1U);
}

}  // namespace
}  // namespace backstay::api::house
