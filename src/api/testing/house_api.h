// The whole house API around a ControlWorld, asked as the server asks it; whatever it answers is held against its own
// description.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/errors.h"
#include "api/house/routes.h"
#include "api/testing/described.h"
#include "control/testing/control_world.h"
#include "control/testing/fake_notifier.h"
#include "control/verification_commands.h"

namespace backstay::api::testing {

class HouseApiTest : public ::testing::Test {
 protected:
  HouseApiTest() {
    house::add_routes(routes_, context());
    token_ = make_token({"admin"}, true);
    document_ = core::parse_json(handle(request("GET", "/api/openapi.json")).body).as_object();
  }

  house::Context context() {
    return {.commands = *world_.commands,
            .providers = *world_.provider_commands,
            .queries = *world_.queries,
            .webhooks = webhooks_,
            .schedules = *world_.schedule_commands,
            .accounts = accounts_,
            .feed = world_.feed,
            .imports = imports_,
            .authentication = authentication_,
            .streams = streams_,
            .clock = world_.clock,
            .metrics = world_.metrics,
            .verifications = verifications_,
            .ready = [this] { return ready_; },
            .public_url = "",
            .version = "9.9.9"};
  }

  std::string caller_of_admin() { return world_.commands->authenticate(token_)->token_id; }
  /// The principal of the test's token, carrying out the request of that key.
  control::Principal as_caller(const control::IdempotencyKey& key) {
    auto principal = world_.commands->authenticate(token_).value();
    principal.terms =
        std::make_shared<const control::RequestTerms>(control::RequestTerms{.generations = {}, .key = key});
    return principal;
  }
  /// What the route takes for the request's identity.
  static std::string asked(const http::Request& request) {
    return core::to_text(core::json::array{request.method, request.path, core::json::array(), request.body});
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
    if (!response.stream) expect_described(request, response, document_);
    return response;
  }
  http::Response send(const std::string& method, const std::string& target, const std::string& body = "") {
    return send(request(method, target, body));
  }
  core::json::value answer(const std::string& method, const std::string& target, const std::string& body = "") {
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
  core::json::object create(const std::string& name = "orders") {
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
  control::testing::FakeNotifier notifier_;
  control::Accounts accounts_{{*world_.database, world_.clock, world_.random}, {}};
  control::WebhookCommands webhooks_{{*world_.database, notifier_, world_.clock, world_.random}};
  ImportRequests imports_{*world_.imports};
  control::VerificationCommands verifications_{{*world_.database, *world_.registry, *world_.queue}};
  EventStreams streams_{authentication_, world_.clock, 2};
  bool ready_ = true;
  http::Router router_;
  RateLimiter limits_{{}, world_.clock};
  control::IdempotencyGate keys_{*world_.database, world_.clock, world_.random};
  control::AuditLog audit_{*world_.database};
  control::RefusalEvents refusals_{*world_.database, world_.clock, world_.random};
  RouteTable routes_ = house::make_route_table(
      router_, {authentication_, limits_, keys_, audit_, refusals_, world_.clock, world_.random});
  std::string token_;
  core::json::object document_;
};

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

}  // namespace backstay::api::testing
