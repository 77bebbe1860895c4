#include "api/testing/house_api.h"
#include "control/webhook_dispatch.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using testing::HouseApiTest;

class WebhookRoutesTest : public HouseApiTest {
 protected:
  json::object make() {
    const auto body = fmt::format(
        R"({{"teamId":{},"name":"ci","url":"https://example.org/hook","events":["backup.*"]}})", world_.team_id);
    return answer("POST", "/api/webhooks", body).as_object();
  }
  static std::string id_of(const json::object& object) { return std::string(object.at("id").as_string()); }
};

TEST_F(WebhookRoutesTest, ShowsTheSecretOnce) {
  const auto made = make();
  EXPECT_TRUE(std::string(made.at("secret").as_string()).starts_with("whsec_"));
  const auto seen = answer("GET", "/api/webhooks/" + id_of(made)).as_object();
  EXPECT_FALSE(seen.contains("secret"));
  const auto listed = answer("GET", fmt::format("/api/webhooks?team={}", world_.team_id));
  ASSERT_EQ(listed.as_array().size(), 1u);
  EXPECT_EQ(listed.at(0), json::value(seen));
  EXPECT_EQ(answer("GET", "/api/webhooks?team=99").as_array().size(), 0u);
}

TEST_F(WebhookRoutesTest, ChangesAndRemoves) {
  const auto path = "/api/webhooks/" + id_of(make());
  const auto changed = answer("PATCH", path, R"({"enabled":false,"events":[],"name":"other"})");
  EXPECT_EQ(changed.at("enabled"), false);
  EXPECT_EQ(changed.at("name"), "other");
  EXPECT_EQ(send("POST", path + "/test").status, 409);
  EXPECT_EQ(answer("DELETE", path + "?dryRun=true").at("dryRun"), true);
  answer("DELETE", path);
  EXPECT_EQ(send("GET", path).status, 404);
}

TEST_F(WebhookRoutesTest, TellsEachChangeButNotTheAddress) {
  const auto path = "/api/webhooks/" + id_of(make());
  answer("PATCH", path, R"({"enabled":false,"url":"https://example.org/secret"})");
  answer("PATCH", path, R"({"enabled":true})");
  answer("PATCH", path, R"({"enabled":true})");
  const auto told = answer("GET", "/api/events?name=webhook.changed").as_array();
  ASSERT_EQ(told.size(), 2U) << "what changes nothing is none";
  EXPECT_EQ(told.at(0).at("body"),
            "the webhook 'ci' was changed: it is enabled again, and told of what happens from now on");
  EXPECT_EQ(told.at(1).at("body"),
            "the webhook 'ci' was changed: it has another address; it is disabled, and told of nothing");
}

TEST_F(WebhookRoutesTest, ChangesOnlyWhatTheClientHasSeen) {
  auto change = request("PATCH", "/api/webhooks/" + id_of(make()), R"({"name":"other"})");
  change.headers.set("If-Match", send("GET", change.path).headers.find("ETag").value());
  EXPECT_EQ(send(change).status, 200);
  EXPECT_EQ(send(change).status, 412);
  auto removal = request("DELETE", change.path);
  removal.headers.set("If-Match", "\"other\"");
  EXPECT_EQ(send(removal).status, 412);
  removal.headers.set("If-Match", send("GET", change.path).headers.find("ETag").value());
  EXPECT_EQ(send(removal).status, 200);
}

TEST_F(WebhookRoutesTest, ShowsWhatBecameOfMessages) {
  const auto path = "/api/webhooks/" + id_of(make());
  const auto test = answer("POST", path + "/test").as_object();
  EXPECT_EQ(test.at("state"), "pending");
  EXPECT_EQ(test.at("eventName"), "webhook.test");
  const auto again = answer("POST", path + "/deliveries/" + id_of(test) + "/redeliver").as_object();
  EXPECT_EQ(id_of(again), id_of(test));
  EXPECT_EQ(send("POST", path + "/test").status, 409) << "one is still to be sent";
  control::WebhookDispatch({*world_.database, notifier_, world_.clock, world_.random}).turn({});
  answer("POST", path + "/test");
  const auto first = send("GET", path + "/deliveries?limit=1");
  ASSERT_TRUE(first.headers.find("X-Next-Page-Token"));
  const auto rest = answer("GET", path + "/deliveries?limit=1&page_token=" + *first.headers.find("X-Next-Page-Token"));
  EXPECT_EQ(rest.at(0).at("id"), json::value(id_of(test)));
}

TEST_F(WebhookRoutesTest, NamesWhatIsWrong) {
  notifier_.refused = "http://169.254.169.254/";
  const auto ask = [&](const std::string& url, const std::string& events) {
    const auto response =
        send("POST", "/api/webhooks",
             fmt::format(R"({{"teamId":{},"name":"x","url":"{}","events":[{}]}})", world_.team_id, url, events));
    EXPECT_EQ(response.status, 400) << response.body;
    return core::parse_json(response.body).at("errors").at(0).at("pointer");
  };
  EXPECT_EQ(ask("https://example.org", R"("backup.invented")"), "/events");
  EXPECT_EQ(ask(notifier_.refused, ""), "/url");
}

}  // namespace
}  // namespace backstay::api::house
