#include "notify/webhook_sender.h"

#include <functional>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/testing/manual_clock.h"
#include "notify/signature.h"

namespace backstay::notify {
namespace {

const core::Secret kSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

class OneAnswer final : public http::Transport {
 public:
  using Transport::send;
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token /*stop*/) override {
    seen = request;
    body = core::as_text(request.body);
    return answer();
  }
  std::function<http::ClientResponse()> answer = [] { return http::ClientResponse{.status = 204}; };
  http::ClientRequest seen;
  std::string body;
};

class WebhookSenderTest : public ::testing::Test {
 protected:
  control::Receipt send() {
    return WebhookSender(transport_, clock_, {}).send({"https://example.org/hook", kSecret, "the-id", "{}"}, {});
  }
  OneAnswer transport_;
  core::testing::ManualClock clock_;
};

TEST_F(WebhookSenderTest, SignsWhatItSends) {
  const auto receipt = send();
  EXPECT_EQ(receipt.status, 204);
  EXPECT_EQ(receipt.error, "");
  EXPECT_EQ(transport_.seen.method + transport_.seen.url + transport_.body, "POSThttps://example.org/hook{}");
  EXPECT_EQ(transport_.seen.headers.find("webhook-id"), "the-id");
  EXPECT_EQ(transport_.seen.headers.find("webhook-timestamp"), signed_time(clock_.now()));
  EXPECT_EQ(transport_.seen.headers.find("webhook-signature"), sign(kSecret, "the-id", clock_.now(), "{}"));
}

TEST_F(WebhookSenderTest, TakesNothingButASuccessForOne) {
  for (const int status : {301, 404, 410, 500}) {
    transport_.answer = [status] { return http::ClientResponse{.status = status}; };
    const auto receipt = send();
    EXPECT_EQ(receipt.status, status);
    EXPECT_NE(receipt.error, "");
  }
  transport_.answer = []() -> http::ClientResponse { throw core::Error(core::Code::kTimeout, "too slow"); };
  EXPECT_EQ(send().error, "too slow");
}

TEST_F(WebhookSenderTest, RefusesAddressesThatMayNotBeReached) {
  const auto code_of = [&](const std::string& url, http::EgressPolicy egress = {}) {
    try {
      WebhookSender(transport_, clock_, egress).check(url);
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  };
  EXPECT_EQ(code_of("https://hooks.example.org/x?y=z"), core::Code::kInternal);
  EXPECT_EQ(code_of("http://127.0.0.1:8080/"), core::Code::kInternal);
  EXPECT_EQ(code_of("http://127.0.0.1:8080/", {.allow_loopback = false}), core::Code::kEgressRefused);
  EXPECT_EQ(code_of("http://169.254.169.254/latest"), core::Code::kEgressRefused);
  EXPECT_EQ(code_of("http://[fe80::1]/"), core::Code::kEgressRefused);
  EXPECT_EQ(code_of("ftp://example.org/"), core::Code::kInvalidArgument);
  EXPECT_EQ(code_of("https://user:secret@example.org/"), core::Code::kInvalidArgument);
}

}  // namespace
}  // namespace backstay::notify
