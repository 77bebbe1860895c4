#include <thread>

#include "api/testing/house_api.h"
#include "control/events.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

using testing::HouseApiTest;
using testing::Listener;

class EventRoutesTest : public HouseApiTest {
 protected:
  EventRoutesTest() {
    record(control::events::kBackupFailed, "one");
    world_.clock.advance(std::chrono::hours(1));
    record(control::events::kBackupConfirmed, "two");
    record(control::events::kWalBehind, "three");
  }

  void record(control::EventKind kind, const std::string& body) {
    world_.database->write([&](auto& tx) { world_.log->record(tx, world_.team_id, kind, body); });
  }
  /// The bodies of the events that match, oldest first.
  std::string bodies(const std::string& filters) {
    std::string text;
    const auto target = fmt::format("/api/events?after=0&team={}{}", world_.team_id, filters);
    const auto events = answer("GET", target);
    for (const auto& event : events.as_array()) {
      text += std::string(event.at("body").as_string()) + " ";
    }
    return text;
  }
  http::Request listening(const std::string& target, const std::string& last = "") {
    auto asked = request("GET", target);
    asked.headers.set("Accept", "text/event-stream");
    if (!last.empty()) asked.headers.set("Last-Event-ID", last);
    return asked;
  }
  /// What a listener gets at once.
  std::string heard(const http::Request& asked) {
    Listener listener(1);
    send(asked).stream(listener, {});
    return listener.written.at(0);
  }
};

std::string refused_field(const http::Response& response) {
  EXPECT_EQ(response.status, 400) << response.body;
  return std::string(core::parse_json(response.body).at("errors").at(0).at("pointer").as_string());
}

TEST_F(EventRoutesTest, FiltersByNameSeverityAndTime) {
  EXPECT_EQ(bodies("&name=backup.failed"), "one ");
  EXPECT_EQ(bodies("&name=backup.*"), "one two ");
  EXPECT_EQ(bodies("&name=backup.failed,wal.behind"), "one three ");
  EXPECT_EQ(bodies("&severity=warning"), "one three ");
  EXPECT_EQ(bodies("&severity=error"), "one ");
  EXPECT_EQ(bodies("&since=2026-01-01T01:00:00Z"), "two three ");
  EXPECT_EQ(bodies("&until=2026-01-01T01:00:00Z"), "one ");
}

TEST_F(EventRoutesTest, RefusesFiltersThatMeanNothing) {
  EXPECT_EQ(refused_field(send("GET", "/api/events?name=backup.invented")), "?name");
  EXPECT_EQ(refused_field(send("GET", "/api/events?since=yesterday")), "?since");
  EXPECT_EQ(refused_field(send("GET", "/api/events?severity=loud")), "?severity");
  EXPECT_EQ(refused_field(send(listening("/api/events?name=backup"))), "?name");
  EXPECT_EQ(refused_field(send(listening("/api/events", "x"))), "Last-Event-ID");
}

TEST_F(EventRoutesTest, GoesOnAfterTheLastEventWithoutLoss) {
  const auto all = heard(listening("/api/events?after=0&name=backup.*"));
  const auto lines = core::split(all, '\n');
  ASSERT_GE(lines.size(), 7u) << all;
  EXPECT_EQ(lines[1], "event: event");
  EXPECT_NE(lines[2].find(R"("body":"one")"), std::string::npos) << lines[2];
  const auto rest = heard(listening("/api/events?name=backup.*", lines[0].substr(4)));
  EXPECT_EQ(rest.find(R"("body":"one")"), std::string::npos);
  EXPECT_NE(rest.find(R"("body":"two")"), std::string::npos);
}

TEST_F(EventRoutesTest, SendsWhatHappensWhileItListens) {
  const auto response = send(listening("/api/events"));
  record(control::events::kStorageFull, "afterwards");
  Listener listener(1);
  response.stream(listener, {});
  EXPECT_NE(listener.written.at(0).find("afterwards"), std::string::npos);
  EXPECT_EQ(listener.written.at(0).find("three"), std::string::npos) << "what was there before is not new";
}

TEST_F(EventRoutesTest, EndsWithItsToken) {
  const auto admin = token_;
  token_ = make_token({"read"}, true);
  const auto response = send(listening("/api/events?after=0"));
  const auto id = world_.commands->authenticate(token_)->token_id;
  token_ = admin;
  Listener listener(1000);
  std::jthread stream([&](const std::stop_token& stop) { response.stream(listener, stop); });
  answer("DELETE", "/tokens/" + id);
  // Each look passes some of the time to the next question for the token.
  std::jthread time([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) world_.clock.advance(std::chrono::milliseconds(500));
  });
  stream.join();
  EXPECT_LE(listener.written.size(), 3u);
}

TEST_F(EventRoutesTest, GivesATokenFewStreamsAtATime) {
  auto first = send(listening("/api/events"));
  const auto second = send(listening("/api/events"));
  const auto refused = send(listening("/api/events"));
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_EQ(refused.headers.find("Retry-After"), "15");
  first = {};
  EXPECT_EQ(send(listening("/api/events")).status, 200);
}

TEST_F(EventRoutesTest, ShowsATokenItsTeamsOnly) {
  token_ = make_token({"read"}, false);
  const auto events = answer("GET", "/api/events?after=0").as_array();
  ASSERT_FALSE(events.empty());
  for (const auto& event : events) EXPECT_EQ(event.at("teamId"), world_.team_id);
  EXPECT_EQ(heard(listening("/api/events?after=0")).find("token.created"), std::string::npos);
}

}  // namespace
}  // namespace backstay::api::house
