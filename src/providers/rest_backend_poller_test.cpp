#include "providers/rest_backend_poller.h"

#include <gtest/gtest.h>

#include "core/testing/manual_clock.h"

namespace backstay::providers {
namespace {

/// A backend that reports every service it is asked for but the lost ones.
class Backend final : public http::Transport {
 public:
  using Transport::send;
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
    urls.push_back(request.url);
    if (down) throw core::Error(core::Code::kStoreUnreachable, "down");
    std::string body = "{";
    for (const auto& [key, id] : http::parse_query(request.url.substr(request.url.find('?') + 1))) {
      if (id != lost) body += (body.size() > 1 ? ",\"" : "\"") + id + "\": {}";
    }
    http::ClientResponse response;
    response.status = 200;
    body += "}";
    const auto bytes = core::as_bytes(body);
    response.body.assign(bytes.begin(), bytes.end());
    return response;
  }
  std::vector<std::string> urls;
  std::string lost;
  bool down = false;
};

class RestBackendPollerTest : public ::testing::Test {
 protected:
  void turns() {
    while (poller_.turn({})) {
    }
  }

  core::testing::ManualClock clock_;
  Backend backend_;
  std::optional<model::ApiBackend> address_ = model::ApiBackend{"https://x.example", {}};
  RestBackendPoller poller_{
      backend_, clock_, [this](const BackendName&) { return address_; }, {.threads = 0, .batch = 2}};
  const BackendName name_{"redis", "v1"};
};

TEST_F(RestBackendPollerTest, AsksForAllServicesOfABackendInBatches) {
  for (const char* id : {"a", "b", "c"}) EXPECT_FALSE(poller_.look(name_, id, false));
  turns();
  EXPECT_EQ(backend_.urls, (std::vector<std::string>{"https://x.example?id=a&id=b", "https://x.example?id=c"}));
  EXPECT_TRUE(poller_.look(name_, "c", false)->answer.report);
}

TEST_F(RestBackendPollerTest, AsksNowAndThenAndMoreOftenWhileSomethingChanges) {
  poller_.look(name_, "a", false);
  turns();
  clock_.advance(std::chrono::seconds(3));
  poller_.look(name_, "a", false);
  turns();
  EXPECT_EQ(backend_.urls.size(), 1u);
  poller_.look(name_, "a", true);
  turns();
  EXPECT_EQ(backend_.urls.size(), 2u);
  clock_.advance(std::chrono::seconds(3));
  turns();
  EXPECT_EQ(backend_.urls.size(), 3u);
}

TEST_F(RestBackendPollerTest, ForgetsWhatNobodyLooksAt) {
  poller_.look(name_, "a", false);
  turns();
  clock_.advance(std::chrono::minutes(2));
  turns();
  EXPECT_EQ(backend_.urls.size(), 1u);
}

TEST_F(RestBackendPollerTest, CountsAbsencesInARow) {
  backend_.lost = "a";
  for (int i = 1; i <= 3; ++i) {
    poller_.look(name_, "a", false);
    turns();
    EXPECT_EQ(poller_.look(name_, "a", false)->absent, i);
    clock_.advance(std::chrono::seconds(11));
  }
  backend_.lost.clear();
  turns();
  EXPECT_EQ(poller_.look(name_, "a", false)->absent, 0);
}

TEST_F(RestBackendPollerTest, ABackendThatFailsIsAskedLessOftenAndWhatItSaidBeforeStays) {
  poller_.look(name_, "a", true);
  turns();
  backend_.down = true;
  for (int second = 0; second < 300; ++second) {
    clock_.advance(std::chrono::seconds(1));
    poller_.look(name_, "a", true);
    turns();
  }
  const auto asked = backend_.urls.size();
  EXPECT_GE(asked, 6u);
  EXPECT_LE(asked, 12u) << "2, 4, 8, 16, 32, 60, 60 … seconds between two questions";
  const auto seen = poller_.look(name_, "a", true);
  EXPECT_EQ(seen->failures, static_cast<int>(asked) - 1);
  EXPECT_TRUE(seen->answer.report);
  backend_.down = false;
  clock_.advance(std::chrono::seconds(61));
  poller_.look(name_, "a", true);
  turns();
  EXPECT_EQ(poller_.look(name_, "a", true)->failures, 0);
}

TEST_F(RestBackendPollerTest, AsksNobodyWhileTheProviderIsNotPublished) {
  address_.reset();
  poller_.look(name_, "a", true);
  turns();
  EXPECT_TRUE(backend_.urls.empty());
}

}  // namespace
}  // namespace backstay::providers
