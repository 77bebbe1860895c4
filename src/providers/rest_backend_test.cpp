#include "providers/rest_backend.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::providers {
namespace {

namespace json = core::json;

/// Answers what the test says and remembers what it was sent.
class ScriptedTransport final : public http::Transport {
 public:
  using Transport::send;
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
    sent.push_back(request.method + " " + request.url);
    bodies.emplace_back(reinterpret_cast<const char*>(request.body.data()), request.body.size());
    authorization = request.headers.find("Authorization").value_or("");
    if (failure) throw core::Error(*failure, "as scripted");
    http::ClientResponse response;
    response.status = status;
    const auto bytes = core::as_bytes(answer);
    response.body.assign(bytes.begin(), bytes.end());
    return response;
  }

  int status = 200;
  std::string answer = "{}";
  std::optional<core::Code> failure;
  std::vector<std::string> sent, bodies;
  std::string authorization;
};

class RestBackendTest : public ::testing::Test {
 protected:
  /// The code that a poll of "a" ends with, when the backend answers this.
  core::Code polled(int status, const std::string& answer) {
    transport_.status = status;
    transport_.answer = answer;
    try {
      backend_.poll({"a"}, {});
    } catch (const core::Error& error) {
      message_ = error.message();
      return error.code();
    }
    return core::Code::kInternal;
  }
  std::string fault(const std::string& answer) {
    transport_.answer = R"({"a": )" + answer + "}";
    return backend_.poll({"a"}, {}).at("a").fault;
  }

  ScriptedTransport transport_;
  RestBackend backend_{transport_, {"https://x.example/api", core::Secret("key")}};
  std::string message_;
};

TEST_F(RestBackendTest, AsksForManyAtOnceWithItsKey) {
  transport_.answer =
      R"({"a": {"plan": {"parameters": {"storage": 5}}, "config": {"v": "1"}, "details": {"ready": true},
    "pause": false, "error": "disk\nfull"}, "other": {}})";
  const auto answers = backend_.poll({"a", "b c"}, {});
  EXPECT_EQ(transport_.sent, std::vector<std::string>{"GET https://x.example/api?id=a&id=b%20c"});
  EXPECT_EQ(transport_.authorization, "Bearer key");
  ASSERT_EQ(answers.size(), 1u) << "what is not known, or was not asked for, is left out";
  const auto& report = *answers.at("a").report;
  EXPECT_EQ(report.parameters->at("storage"), json::value(5));
  EXPECT_EQ(report.config->at("v"), json::value("1"));
  EXPECT_EQ(report.pause, std::optional(false));
  EXPECT_EQ(report.error, "disk full");
}

TEST_F(RestBackendTest, WhatIsNotReportedIsNotKnown) {
  transport_.answer = R"({"a": {}})";
  const auto answers = backend_.poll({"a"}, {});
  const auto& report = *answers.at("a").report;
  EXPECT_FALSE(report.parameters);
  EXPECT_FALSE(report.config);
  EXPECT_FALSE(report.pause);
}

TEST_F(RestBackendTest, ALieAboutOneServiceIsItsFaultAlone) {
  EXPECT_NE(fault("[]"), "");
  EXPECT_NE(fault(R"({"plan": {"parameters": []}})"), "");
  EXPECT_NE(fault(R"({"config": "none"})"), "");
  EXPECT_NE(fault(R"({"details": {"ready": "yes"}})"), "");
  EXPECT_NE(fault(R"({"pause": 1})"), "");
  EXPECT_NE(fault(R"({"details": {"x": ")" + std::string(70'000, 'x') + R"("}})"), "");
  EXPECT_EQ(fault("{}"), "");
}

TEST_F(RestBackendTest, AnswersThatTheContractDoesNotHaveAreInvalid) {
  for (const char* answer : {"", "<html>", "[]", "null", R"({"a": )"}) {
    EXPECT_EQ(polled(200, answer), core::Code::kBackendInvalidAnswer) << answer;
  }
  EXPECT_EQ(polled(302, "{}"), core::Code::kBackendInvalidAnswer);
}

TEST_F(RestBackendTest, StatusesMeanNowLaterOrNever) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504}) {
    EXPECT_EQ(polled(status, R"({"error": "busy"})"), core::Code::kBackendUnreachable) << status;
  }
  for (const int status : {400, 401, 403, 409, 422, 501}) {
    EXPECT_EQ(polled(status, R"({"error": "no"})"), core::Code::kBackendRefused) << status;
  }
  EXPECT_NE(message_.find("no"), std::string::npos) << message_;
}

TEST_F(RestBackendTest, TheTransportsFailuresAreTheBackends) {
  transport_.failure = core::Code::kTimeout;
  EXPECT_EQ(polled(200, ""), core::Code::kBackendUnreachable);
  transport_.failure = core::Code::kStoreUnreachable;
  EXPECT_EQ(polled(200, ""), core::Code::kBackendUnreachable);
  transport_.failure = core::Code::kStoreRefused;  // longer than the limit
  EXPECT_EQ(polled(200, ""), core::Code::kBackendInvalidAnswer);
  transport_.failure = core::Code::kEgressRefused;
  EXPECT_EQ(polled(200, ""), core::Code::kEgressRefused);
}

TEST_F(RestBackendTest, ARefusalDoesNotRepeatTheSecretsThatItQuotes) {
  transport_.status = 422;
  transport_.answer = R"({"error": "password 'hunter2!' is too short"})";
  try {
    backend_.create({{"id", "a"}, {"secrets", {{"password", "hunter2!"}}}}, {});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.message().find("hunter2!"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("***"), std::string::npos);
  }
}

TEST_F(RestBackendTest, ACreationWhoseAnswerWasLostIsDone) {
  transport_.status = 409;
  EXPECT_THROW(backend_.create({{"id", "a"}}, {}), core::Error) << "and the backend does not know it";
  class Knows final : public http::Transport {
   public:
    using Transport::send;
    http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
      http::ClientResponse response;
      response.status = request.method == "POST" ? 409 : 200;
      const auto bytes = core::as_bytes(R"({"a": {}})");
      response.body.assign(bytes.begin(), bytes.end());
      return response;
    }
  } knows;
  RestBackend(knows, {"https://x.example", {}}).create({{"id", "a"}}, {});
}

TEST_F(RestBackendTest, DeletingWhatIsNotThereIsDone) {
  transport_.status = 404;
  EXPECT_FALSE(backend_.remove("a", {}));
  EXPECT_FALSE(backend_.remove_backup("b", {}, {}));
  EXPECT_FALSE(backend_.backup("b", {}, {}));
  transport_.status = 202;
  EXPECT_TRUE(backend_.remove("a", {}));
}

TEST_F(RestBackendTest, ABackupExistsOrHasAnErrorOrNeither) {
  transport_.answer = R"({"exists": false, "error": "store is full"})";
  EXPECT_EQ(backend_.backup("b", {}, {})->error, "store is full");
  transport_.answer = R"({"exists": true})";
  EXPECT_TRUE(backend_.backup("b", {}, {})->exists);
  EXPECT_EQ(transport_.sent.back(), "POST https://x.example/api/backups/b/status");
  for (const char* lie : {R"({"exists": "true"})", "{}", "[]"}) {
    transport_.answer = lie;
    EXPECT_THROW(backend_.backup("b", {}, {}), core::Error) << lie;
  }
}

}  // namespace
}  // namespace backstay::providers
