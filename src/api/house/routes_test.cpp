#include "api/house/routes.h"

#include <memory>

#include <gtest/gtest.h>

#include "api/errors.h"
#include "api/house/route_groups.h"
#include "api/testing/house_api.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using testing::HouseApiTest;
using testing::Listener;

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

TEST_F(HouseApiTest, AsksEveryRouteForATokenButThoseThatComeBeforeOne) {
  // With what they answer to an empty request: of the last two, that it says nothing.
  const std::map<std::string, int> open{{"GET /health", 200},
                                        {"GET /ready", 200},
                                        {"GET /api/docs", 200},
                                        {"GET /api/openapi.json", 200},
                                        {"GET /api/accounts/setup-status", 200},
                                        {"POST /api/accounts/register", 400},
                                        {"POST /api/sessions", 400}};
  token_.clear();
  for (const std::string& route : router_.routes()) {
    const auto parts = core::split(route, ' ');
    const auto response = send(parts[0], parts[1]);
    const auto known = open.find(route);
    EXPECT_EQ(response.status, known == open.end() ? 401 : known->second) << route << ": " << response.body;
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
  EXPECT_EQ(send("GET", "/api/backups?serviceId=6f1c7c4e-6f0e-4a8e-9a53-0f8d8b0f1a11").status, 404);
  EXPECT_TRUE(answer("GET", "/managed-services?team=999999").as_array().empty());
}

TEST_F(HouseApiTest, IsReadyWhenTheServerSaysSo) {
  ready_ = false;
  EXPECT_EQ(send("GET", "/ready").status, 503);
  EXPECT_EQ(send("GET", "/health").status, 200);
}

std::vector<std::string> ids_of(const http::Response& response) {
  std::vector<std::string> ids;
  const auto body = core::parse_json(response.body);
  for (const auto& item : body.as_array()) {
    const auto& object = item.as_object();
    ids.push_back(object.contains("id") ? core::to_text(object.at("id")) : core::to_text(object));
  }
  return ids;
}

TEST_F(HouseApiTest, GivesEveryListInPages) {
  const std::string store = R"("config":{"destinationPath":"file:///b"})";
  std::string id;
  for (const std::string name : {"a", "b", "c"}) {
    auto body = create_body(name);
    body.insert(body.size() - 1, R"(,"backups":{"enabled":true,)" + store + "}");
    id = text_of(answer("POST", "/managed-services", body).at("id"));
    world_.settle();
    answer("POST", "/managed-services/" + id + "/backups");
    world_.settle();
    answer("POST", "/teams", R"({"name":"team )" + name + "\"}");
    answer("POST", "/api/destinations",
           fmt::format(R"({{"teamId":{},"name":"d","config":{{"destinationPath":"file:///d-{}"}}}})", world_.team_id,
                       name));
    make_token({"read"}, true);
  }
  for (const auto& list :
       std::initializer_list<std::string>{"/managed-services?includeDeleted=false", "/managed-services/providers",
                                          "/teams", "/tokens", "/api/destinations", "/api/operations", "/api/events",
                                          "/api/events?after=1", "/api/backups?serviceId=" + id}) {
    const auto whole = ids_of(send("GET", list));
    ASSERT_GE(whole.size(), 2U) << list;
    const std::string join = list.find('?') == std::string::npos ? "?" : "&";
    std::vector<std::string> gathered;
    std::string token;
    do {
      const auto page = send("GET", list + join + "limit=1" + (token.empty() ? "" : "&page_token=" + token));
      ASSERT_EQ(page.status, 200) << list << page.body;
      const auto ids = ids_of(page);
      ASSERT_EQ(ids.size(), 1U) << list;
      gathered.push_back(ids[0]);
      token = page.headers.find("X-Next-Page-Token").value_or("");
      const auto link = page.headers.find("Link").value_or("");
      EXPECT_EQ(link.find("page_token=" + token) != std::string::npos, !token.empty()) << link;
    } while (!token.empty() && gathered.size() <= whole.size());
    EXPECT_EQ(gathered, whole) << list;
  }
}

TEST_F(HouseApiTest, RefusesTokensOfOtherPages) {
  for (const std::string name : {"a", "b"}) create(name);
  const auto token = send("GET", "/managed-services?limit=1").headers.find("X-Next-Page-Token").value();
  EXPECT_EQ(send("GET", "/api/managed-services?limit=7&page_token=" + token).status, 200);
  for (const auto& target : std::initializer_list<std::string>{
           "/managed-services?includeDeleted=true&page_token=" + token, "/api/operations?page_token=" + token,
           "/managed-services?page_token=x" + token, "/managed-services?page_token="}) {
    const auto refused = send("GET", target);
    EXPECT_EQ(refused.status, 400) << target;
    EXPECT_NE(refused.body.find(R"("pointer":"?page_token")"), std::string::npos) << refused.body;
  }
}

TEST_F(HouseApiTest, SparesWhatTheClientHas) {
  const std::string path = "/managed-services/" + text_of(create().at("id"));
  world_.settle();
  const auto tag = send("GET", path).headers.find("ETag").value();
  auto again = request("GET", path);
  again.headers.set("If-None-Match", tag);
  EXPECT_EQ(send(again).status, 304);
  answer("PATCH", path, R"({"name":"renamed"})");
  EXPECT_EQ(send(again).status, 200);
}

TEST_F(HouseApiTest, ChangesOnlyWhatTheClientHasSeen) {
  const std::string path = "/managed-services/" + text_of(create().at("id"));
  world_.settle();
  auto rename = request("PATCH", path, R"({"name":"renamed"})");
  rename.headers.set("If-Match", send("GET", path).headers.find("ETag").value());
  const auto renamed = send(rename);
  EXPECT_EQ(renamed.status, 200);
  const auto late = send(rename);
  EXPECT_EQ(late.status, 400) << "the contract's paths have no 412";
  EXPECT_NE(late.body.find("\"code\":\"precondition_failed\""), std::string::npos);
  auto removal = request("DELETE", path);
  removal.headers.set("If-Match", "\"0-0\"");
  EXPECT_EQ(send(removal).status, 400);
  removal.headers.set("If-Match", renamed.headers.find("ETag").value());
  EXPECT_EQ(send(removal).status, 200);

  const auto made = answer(
      "POST", "/api/destinations",
      fmt::format(R"({{"teamId":{},"name":"main","config":{{"destinationPath":"file:///b"}}}})", world_.team_id));
  auto forget = request("DELETE", "/api/destinations/" + text_of(made.at("id")));
  forget.headers.set("If-Match", "\"other\"");
  EXPECT_EQ(send(forget).status, 412);
  forget.headers.set("If-Match", send("GET", forget.path).headers.find("ETag").value());
  EXPECT_EQ(send(forget).status, 200);
}

TEST_F(HouseApiTest, DoesOnceWhatIsSentTwiceWithAKey) {
  auto creation = request("POST", "/managed-services", create_body());
  creation.headers.set("Idempotency-Key", "k1");
  const auto first = send(creation);
  EXPECT_EQ(first.status, 200);
  const auto second = send(creation);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.headers.find("Idempotency-Replayed"), "true");
  EXPECT_EQ(answer("GET", "/managed-services").as_array().size(), 1U);
  creation.body = create_body("another");
  const auto other = send(creation);
  EXPECT_EQ(other.status, 400) << "the contract's paths have no 422";
  EXPECT_NE(other.body.find("\"code\":\"idempotency_key_reused\""), std::string::npos);

  auto entry = request("POST", "/api/destinations", R"({"teamId":1})");
  entry.headers.set("Idempotency-Key", "k2");
  EXPECT_EQ(send(entry).status, 400);
  entry.body =
      fmt::format(R"({{"teamId":{},"name":"main","config":{{"destinationPath":"file:///b"}}}})", world_.team_id);
  EXPECT_EQ(send(entry).status, 200) << "what was refused does not hold the key";
  entry.body = R"({"teamId":1,"name":"x","config":{}})";
  EXPECT_EQ(send(entry).status, 422);
  entry.headers.set("Idempotency-Key", std::string(256, 'k'));
  EXPECT_EQ(send(entry).status, 400);
}

TEST_F(HouseApiTest, AnswersWhatWasMadeWhenItsAnswerWasLost) {
  auto creation = request("POST", "/managed-services", create_body());
  creation.headers.set("Idempotency-Key", "k1");
  const auto first = send(creation);
  // As a server leaves it that is killed after the service was written and before its answer was.
  auto lost = keys_.begin(caller_of_admin(), "k3", core::Secret(asked(creation)));
  world_.commands->create_service(world_.create_request("orphan"), as_caller(lost.key));
  keys_.end_leases();
  creation.headers.set("Idempotency-Key", "k3");
  const auto found = send(creation);
  EXPECT_EQ(found.status, 200) << found.body;
  EXPECT_EQ(core::parse_json(found.body).at("name"), "orphan");
  EXPECT_EQ(found.headers.find("Idempotency-Replayed"), "true");

  auto token = request("POST", "/api/tokens", R"({"name":"ci","scopes":["read"]})");
  lost = keys_.begin(caller_of_admin(), "k4", core::Secret(asked(token)));
  control::CreateTokenRequest wanted;
  wanted.name = "ci";
  wanted.scopes = {"read"};
  world_.commands->create_token(wanted, as_caller(lost.key));
  keys_.end_leases();
  token.headers.set("Idempotency-Key", "k4");
  const auto gone = send(token);
  EXPECT_EQ(gone.status, 409) << "a token is shown once";
  EXPECT_NE(gone.body.find("took effect"), std::string::npos);
}

TEST_F(HouseApiTest, LimitsHowOftenATokenAsks) {
  http::Router router;
  RateLimiter limits({.token = {.per_second = 1, .burst = 2}, .address = {.per_second = 1, .burst = 1}}, world_.clock);
  auto routes =
      make_route_table(router, {authentication_, limits, keys_, audit_, refusals_, world_.clock, world_.random});
  add_team_routes(routes, context());
  const auto ask = [&](const http::Request& asked) {
    try {
      return router.handle(asked);
    } catch (const core::Error& error) {
      return error_response(asked, error);
    }
  };
  auto asked = request("GET", "/teams");
  EXPECT_EQ(ask(asked).headers.find("X-RateLimit-Remaining"), "1");
  EXPECT_EQ(ask(asked).status, 200);
  const auto limited = ask(asked);
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.headers.find("Retry-After"), "1");
  EXPECT_EQ(limited.headers.find("X-RateLimit-Limit"), "2");
  asked.headers.set("Authorization", "Bearer wrong");
  EXPECT_EQ(ask(asked).status, 401);
  EXPECT_EQ(ask(asked).status, 429);
  asked.headers.set("Authorization", "Bearer " + token_);
  world_.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(ask(asked).status, 200) << "others of that address are not held up";
}

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
  const auto lines = core::split(patient.written[0], '\n');
  ASSERT_GE(lines.size(), 3U);
  EXPECT_TRUE(lines[0].starts_with("id: ")) << lines[0];
  EXPECT_EQ(lines[1], "event: operation");
  EXPECT_TRUE(lines[2].starts_with("data: {")) << lines[2];
  EXPECT_NE(lines[2].find(R"("state":"succeeded")"), std::string::npos);

  auto again = request("GET", "/api/operations/" + operation + "/events", "");
  again.headers.set("Last-Event-ID", std::string(lines[0].substr(4)));
  Listener informed(100);
  send(again).stream(informed, {});
  EXPECT_EQ(informed.written, std::vector<std::string>{": still here\n\n"});
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
