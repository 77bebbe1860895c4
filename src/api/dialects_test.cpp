#include "api/dialects.h"

#include <gtest/gtest.h>

#include "api/adapter/adapter_routes.h"
#include "api/cloudheed/dialect.h"
#include "api/errors.h"
#include "api/guidewire/dialect.h"
#include "api/lnchr/dialect.h"
#include "api/rate_limits.h"
#include "core/testing/manual_clock.h"

namespace backstay::api {
namespace {

using core::Code;
using core::Error;

http::Request asked(const std::string& path) {
  http::Request request;
  request.method = "GET";
  request.path = path;
  request.trace_id = std::string(32, 'a');
  return request;
}

core::json::object body_of(const http::Response& response) { return core::parse_json(response.body).as_object(); }

TEST(Dialects, AreToldByThePath) {
  EXPECT_EQ(&dialect_of("/api/v1/databases"), &lnchr::kDialect);
  EXPECT_EQ(&dialect_of("/acme/api/v1/databases"), &lnchr::kDialect);
  EXPECT_EQ(&dialect_of("/api/v1/tenants/acme/starsystems/p/backups/1"), &guidewire::kDialect);
  EXPECT_EQ(&dialect_of("/v1/databases"), &cloudheed::kDialect);
  EXPECT_EQ(&dialect_of("/api/adapter/postgresql/15"), &adapter::kDialect);
  for (const auto* path : {"/", "/api/backups", "/managed-services", "/api/v12", "/v1x", "/a/b/api/v1", ""}) {
    EXPECT_EQ(dialect_of(path).refusal, house_error_response) << path;
  }
}

TEST(Dialects, RefuseEachInItsOwnForm) {
  const auto error = Error(Code::kInvalidArgument, "no such name").with_field("/backup/name", "is too long");
  const std::string hint = "correct the fields named in the answer and send the request again";
  const auto lnchr = error_response(asked("/api/v1/databases"), error);
  EXPECT_EQ(lnchr.status, 400);
  EXPECT_EQ(core::to_text(body_of(lnchr)), R"({"success":false,"error":{"code":"BAD_REQUEST","message":"no such name",)"
                                           R"("details":[{"field":"/backup/name","message":"is too long"}],"hint":")" +
                                               hint + R"("}})");
  const auto cloudheed = error_response(asked("/v1/databases"), error);
  EXPECT_EQ(cloudheed.status, 422);
  EXPECT_EQ(core::to_text(body_of(cloudheed)),
            R"({"error":{"code":"validation_error","message":"no such name",)"
            R"("details":[{"field":"backup.name","message":"is too long"}],"hint":")" +
                hint + R"("},"meta":{"request_id":"req-)" + std::string(32, 'a') + R"("}})");
  const auto guidewire = error_response(asked("/api/v1/tenants/acme"), error);
  EXPECT_EQ(guidewire.status, 400);
  EXPECT_EQ(body_of(guidewire).at("message"), "no such name; /backup/name is too long");
  EXPECT_EQ(body_of(guidewire).at("error"), "Bad Request");
  EXPECT_EQ(body_of(guidewire).at("path"), "/api/v1/tenants/acme");
}

TEST(Dialects, HaveStatusesThatTheirClientsKnow) {
  const auto status = [](const std::string& path, Code code) {
    return error_response(asked(path), Error(code, "why")).status;
  };
  EXPECT_EQ(status("/api/v1/databases", Code::kQuotaExceeded), 400);
  EXPECT_EQ(status("/api/v1/databases", Code::kMethodNotAllowed), 404);
  EXPECT_EQ(status("/api/v1/databases", Code::kNotSupported), 501);
  EXPECT_EQ(status("/v1/databases", Code::kQuotaExceeded), 402);
  EXPECT_EQ(status("/v1/databases", Code::kMalformedJson), 400);
  EXPECT_EQ(status("/v1/databases", Code::kConflict), 409);
  EXPECT_EQ(status("/api/v1/tenants/acme", Code::kConflict), 409);
  EXPECT_EQ(status("/api/v1/tenants/acme", Code::kPreconditionFailed), 400);
}

TEST(Dialects, AddWhatEveryAnswerHas) {
  core::testing::ManualClock clock;
  http::Router router;
  const auto limited = [](const http::Request&) {
    http::Response response;
    add_headers(response, {.limit = 60, .remaining = 59, .reset = std::chrono::seconds(30)});
    return response;
  };
  router.add("GET", "/v1/databases", limited);
  router.add("GET", "/api/v1/databases", limited);
  const Dialects dialects(router, clock, "9.9.9");
  const auto now = std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch().count();
  EXPECT_EQ(dialects.handle(asked("/v1/databases")).headers.find("X-RateLimit-Reset"), std::to_string(now + 30));
  const auto lnchr = dialects.handle(asked("/api/v1/databases"));
  EXPECT_EQ(lnchr.headers.find("x-plane-version"), "9.9.9");
  EXPECT_EQ(lnchr.headers.find("X-RateLimit-Reset"), "30");
  EXPECT_EQ(dialects.refuse(asked("/api/v1/x"), Error(Code::kNotFound, "x")).headers.find("x-plane-version"), "9.9.9");
}

TEST(Dialects, TakeABaseUrlThatEndsWithASlash) {
  core::testing::ManualClock clock;
  http::Router router;
  router.add("GET", "/v1/databases", [](const http::Request& request) {
    http::Response response;
    response.body = request.path;
    return response;
  });
  const Dialects dialects(router, clock, "9.9.9");
  EXPECT_EQ(dialects.handle(asked("//v1/databases")).body, "/v1/databases");
  EXPECT_THROW(static_cast<void>(dialects.handle(asked("//"))), Error);
  const auto refused = dialects.refuse(asked("//api/v1/tenants/acme"), Error(Code::kNotFound, "x"));
  EXPECT_EQ(body_of(refused).at("path"), "/api/v1/tenants/acme");
}

}  // namespace
}  // namespace backstay::api
