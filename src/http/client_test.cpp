#include "http/client.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/time.h"
#include "http/router.h"
#include "http/server.h"
#include "http/testing/tls_files.h"

namespace backstay::http {
namespace {

using namespace std::chrono_literals;
using core::Code;
using core::Error;

class ClientTest : public ::testing::Test {
 public:
  ClientTest() {
    router_.add("GET", "/hello", [](const Request&) { return Response{.body = "hello"}; });
    router_.add("PUT", "/echo", [](const Request& request) {
      Response response{.body = request.body};
      for (const auto& [name, value] : request.headers) response.headers.add("X-Saw-" + name, value);
      return response;
    });
    router_.add("GET", "/moved", [this](const Request&) {
      return Response{.status = 302, .headers = {{"Location", server_->url() + "/hello"}}};
    });
    router_.add("GET", "/large", [](const Request&) { return Response{.body = std::string(3'000'000, 'x')}; });
    router_.add("GET", "/refused", [](const Request&) { return Response{.status = 403, .body = "no"}; });
  }
  ~ClientTest() override {
    if (server_) server_->stop(5s);
  }

 protected:
  void start(ServerConfig config = {}) {
    server_.emplace(
        std::move(config), [this](const Request& request) { return router_.handle(request); },
        [](const Request&, const Error& error) {
          return Response{.status = core::code_http_status(error.code()), .body = error.message()};
        },
        random_, metrics_);
    server_->start();
  }
  static Code code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      last_message = error.message();
      return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return Code::kInternal;
  }
  ClientRequest request(const std::string& path) { return {.url = server_->url() + path, .deadline = 10s}; }

  static inline std::string last_message;
  core::SystemRandom random_;
  core::Metrics metrics_;
  Router router_;
  std::optional<Server> server_;
};

TEST_F(ClientTest, SendsMethodHeadersAndBody) {
  start();
  Client client({});
  const auto put = client.send({.method = "PUT",
                                .url = server_->url() + "/echo",
                                .headers = {{"X-Custom", "value"}, {"X-Empty", ""}},
                                .body = core::as_bytes("content")});
  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(core::as_text(put.body), "content");
  EXPECT_EQ(put.headers.find("x-saw-x-custom"), "value");
  EXPECT_EQ(put.headers.find("x-saw-x-empty"), "");
  EXPECT_EQ(put.headers.find("x-saw-content-length"), "7");
  EXPECT_FALSE(put.headers.find("x-saw-content-type"));
  EXPECT_FALSE(put.headers.find("x-saw-expect"));
  const auto empty = client.send({.method = "PUT", .url = server_->url() + "/echo"});
  EXPECT_EQ(empty.headers.find("x-saw-content-length"), "0");
}

TEST_F(ClientTest, SendsALargeBody) {
  start();
  Client client({});
  const std::string large(5'000'000, 'y');
  const auto response = client.send({.method = "PUT", .url = server_->url() + "/echo", .body = core::as_bytes(large)});
  EXPECT_EQ(core::as_text(response.body), large);
}

TEST_F(ClientTest, HandsASuccessToTheSinkAndAFailureToTheBody) {
  start();
  Client client({});
  std::size_t seen = 0;
  ClientRequest large = request("/large");
  large.sink = [&](core::ByteSpan piece) { seen += piece.size(); };
  EXPECT_TRUE(client.send(large).body.empty());
  EXPECT_EQ(seen, 3'000'000U);
  ClientRequest refused = request("/refused");
  refused.sink = [](core::ByteSpan) { FAIL() << "an error is not for the sink"; };
  const auto response = client.send(refused);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(core::as_text(response.body), "no");
}

TEST_F(ClientTest, WhatTheSinkThrowsComesOut) {
  start();
  Client client({});
  ClientRequest large = request("/large");
  large.sink = [](core::ByteSpan) { throw Error(Code::kDiskFull, "no room"); };
  EXPECT_EQ(code_of([&] { client.send(large); }), Code::kDiskFull);
}

TEST_F(ClientTest, LimitsTheAnswer) {
  start();
  Client client({});
  ClientRequest large = request("/large");
  large.max_response_bytes = 1'000'000;
  EXPECT_EQ(code_of([&] { client.send(large); }), Code::kStoreRefused);
}

TEST_F(ClientTest, DoesNotFollowRedirects) {
  start();
  Client client({});
  EXPECT_EQ(client.send(request("/moved")).status, 302);
}

TEST_F(ClientTest, ReusesConnections) {
  start({.max_connections = 1});
  Client client({});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.send(request("/hello")).status, 200);
}

TEST_F(ClientTest, RefusesAddressesThatThePolicyForbids) {
  start();
  Client closed({.egress = {.allow_loopback = false, .allow_private = false}});
  EXPECT_EQ(code_of([&] { closed.send(request("/hello")); }), Code::kEgressRefused);
  const std::string by_name = fmt::format("http://localhost:{}/hello", server_->port());
  EXPECT_EQ(code_of([&] { closed.send({.url = by_name}); }), Code::kEgressRefused);
  EXPECT_EQ(code_of([&] { closed.send({.url = fmt::format("http://[::ffff:127.0.0.1]:{}/", server_->port())}); }),
            Code::kEgressRefused);
  Client open({});
  for (const auto* url :
       {"http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/",
        "http://0.0.0.0:80/", "http://2852039166/", "http://0xa9fea9fe/"}) {
    EXPECT_EQ(code_of([&] { open.send({.url = url, .deadline = 2s}); }), Code::kEgressRefused) << url << last_message;
  }
}

TEST_F(ClientTest, RefusesOtherProtocols) {
  Client client({});
  for (const auto* url : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "127.0.0.1"}) {
    EXPECT_EQ(code_of([&] { client.send({.url = url}); }), Code::kInvalidArgument) << url;
  }
}

TEST_F(ClientTest, TellsThatNobodyListens) {
  // The port of tcpmux, where nobody listens: a port that was free a moment ago may be somebody else's by now.
  const std::string url = "http://127.0.0.1:1/hello";
  Client client({});
  EXPECT_EQ(code_of([&] { client.send({.url = url}); }), Code::kStoreUnreachable);
  EXPECT_EQ(code_of([&] { client.send({.url = "http://no-such-host.invalid/"}); }), Code::kStoreUnreachable);
  EXPECT_NE(last_message.find("no-such-host.invalid"), std::string::npos) << last_message;
}

TEST_F(ClientTest, ATruncatedAnswerIsAnError) {
  router_.add("GET", "/cut", [](const Request&) {
    return Response{.stream = [](StreamWriter& writer, const std::stop_token&) {
      writer.write("part");
      throw std::runtime_error("cut");
    }};
  });
  start();
  Client client({});
  EXPECT_EQ(code_of([&] { client.send(request("/cut")); }), Code::kStoreUnreachable);
}

TEST_F(ClientTest, KeepsItsDeadlineAndItsStop) {
  std::latch leave(1);
  std::latch entered(2);
  router_.add("GET", "/wait", [&](const Request&) {
    entered.count_down();
    leave.wait();
    return Response{};
  });
  start();
  Client client({});
  ClientRequest slow = request("/wait");
  slow.deadline = 200ms;
  EXPECT_EQ(code_of([&] { client.send(slow); }), Code::kTimeout);
  std::stop_source stop;
  std::jthread stopper([&] {
    entered.wait();
    stop.request_stop();
  });
  EXPECT_EQ(code_of([&] { client.send(request("/wait"), stop.get_token()); }), Code::kCancelled);
  leave.count_down();
  server_->stop(5s);
}

TEST_F(ClientTest, RefusesALineBreakInAHeader) {
  start();
  Client client({});
  ClientRequest bad = request("/hello");
  bad.headers.add("X-Bad", "a\r\nX-Evil: b");
  EXPECT_EQ(code_of([&] { client.send(bad); }), Code::kInvalidArgument);
}

TEST_F(ClientTest, ManyThreadsShareAClient) {
  start();
  Client client({});
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 20; ++round) good += client.send(request("/hello")).status == 200 ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(good, 160);
}

class TlsTest : public ClientTest {
 protected:
  testing::TlsTestFiles files_;
};

TEST_F(TlsTest, SpeaksTlsWithAnAuthorityOfItsOwn) {
  start({.tls = TlsFiles{.certificate = files_.certificate(), .key = files_.key()}});
  EXPECT_TRUE(server_->url().starts_with("https://127.0.0.1:"));
  Client client({.ca_file = files_.certificate()});
  EXPECT_EQ(core::as_text(client.send(request("/hello")).body), "hello");
  EXPECT_EQ(client.send(request("/hello")).status, 200);
}

TEST_F(TlsTest, RefusesACertificateThatNobodyTrusts) {
  start({.tls = TlsFiles{.certificate = files_.certificate(), .key = files_.key()}});
  Client client({});
  EXPECT_EQ(code_of([&] { client.send(request("/hello")); }), Code::kStoreUnreachable);
  EXPECT_NE(last_message.find("certificate"), std::string::npos) << last_message;
}

TEST_F(TlsTest, RefusesACertificateForAnotherName) {
  start({.tls = TlsFiles{.certificate = files_.certificate(), .key = files_.key()}});
  Client client({.ca_file = files_.certificate()});
  const std::string url = fmt::format("https://localhost:{}/hello", server_->port());
  EXPECT_EQ(code_of([&] { client.send({.url = url}); }), Code::kStoreUnreachable);
}

TEST_F(TlsTest, StreamsAndStopsOverTls) {
  router_.add("GET", "/events", [](const Request&) {
    return Response{.stream = [](StreamWriter& writer, const std::stop_token&) {
      for (int i = 0; i < 100; ++i) writer.write(std::string(10'000, 'x'));
    }};
  });
  start({.tls = TlsFiles{.certificate = files_.certificate(), .key = files_.key()}});
  Client client({.ca_file = files_.certificate()});
  EXPECT_EQ(client.send(request("/events")).body.size(), 1'000'000U);
}

TEST_F(TlsTest, ASlowHandshakeIsCut) {
  start({.tls = TlsFiles{.certificate = files_.certificate(), .key = files_.key()}, .read_deadline = 200ms});
  Client plain({});
  const std::string url = fmt::format("http://127.0.0.1:{}/hello", server_->port());
  EXPECT_THROW(plain.send({.url = url}), Error);
}

TEST_F(TlsTest, SaysWhichFileCannotBeUsed) {
  const auto make = [&](const std::filesystem::path& certificate, const std::filesystem::path& key) {
    return [this, certificate, key] { start({.tls = TlsFiles{.certificate = certificate, .key = key}}); };
  };
  EXPECT_EQ(code_of(make("/nonexistent.pem", files_.key())), Code::kConfigError);
  EXPECT_NE(last_message.find("/nonexistent.pem"), std::string::npos) << last_message;
  EXPECT_EQ(code_of(make(files_.certificate(), files_.certificate())), Code::kConfigError);
}

}  // namespace
}  // namespace backstay::http
