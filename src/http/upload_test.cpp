// Uploads: requests whose handler reads the body itself.
#include <atomic>
#include <latch>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/client.h"
#include "http/router.h"
#include "http/server.h"
#include "http/testing/raw_connection.h"

namespace backstay::http {
namespace {

using namespace std::chrono_literals;
using core::Code;
using core::Error;
using testing::RawConnection;

Response text(std::string body, int status = 200) {
  return {.status = status, .headers = {{"Content-Type", "text/plain"}}, .body = std::move(body), .stream = {}};
}

class UploadTest : public ::testing::Test {
 public:
  UploadTest() {
    router_.add("POST", "/count", [](const Request& request) {
      std::uint64_t bytes = 0;
      std::size_t longest = 0;
      for (auto piece = request.upload->next(); !piece.empty(); piece = request.upload->next()) {
        bytes += piece.size();
        longest = std::max(longest, piece.size());
      }
      EXPECT_LE(longest, 1U << 20);
      return text(fmt::format("{} of {}", bytes, request.upload->length().value_or(0)));
    });
    router_.add("POST", "/echo", [](const Request& request) {
      std::string all;
      for (auto piece = request.upload->next(); !piece.empty(); piece = request.upload->next()) all += piece;
      return text(all);
    });
    router_.add("POST", "/refuse", [](const Request&) -> Response { throw Error(Code::kConflict, "not now"); });
    router_.add("POST", "/wait", [this](const Request& request) {
      begun_.count_down();
      try {
        while (!request.upload->next().empty()) {
        }
      } catch (const Error& error) {
        code_ = error.code();
        throw;
      }
      return text("all");
    });
    router_.add("GET", "/hello", [](const Request&) { return text("hello"); });
  }
  ~UploadTest() override {
    if (server_) server_->stop(5s);
  }

 protected:
  void start(ServerConfig config = {}) {
    config.body_limit = 1000;
    config.is_upload = [](const Request& request) { return request.method == "POST"; };
    server_.emplace(
        std::move(config), [this](const Request& request) { return router_.handle(request); },
        [](const Request&, const Error& error) {
          return text(std::string(core::code_name(error.code())), core::code_http_status(error.code()));
        },
        random_, metrics_);
    server_->start();
  }

  core::SystemRandom random_;
  core::Metrics metrics_;
  Router router_;
  std::latch begun_{1};
  std::atomic<Code> code_ = Code::kInternal;
  std::optional<Server> server_;
};

TEST_F(UploadTest, IsReadPieceByPieceBeyondTheLimitOfBodies) {
  start();
  const core::Bytes body(20'000'000, std::byte{'x'});
  Client client{ClientConfig{}};
  const auto answer = client.send({.method = "POST", .url = server_->url() + "/count", .body = body, .sink = {}});
  EXPECT_EQ(core::as_text(answer.body), "20000000 of 20000000");
}

TEST_F(UploadTest, TakesChunksAndKeepsTheConnection) {
  start();
  RawConnection raw(server_->port());
  raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  raw.send("2\r\nde\r\n0\r\n\r\n");
  EXPECT_NE(raw.read_until("abcde").find("200 OK"), std::string::npos);
  raw.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(raw.read_all().find("hello"), std::string::npos);
}

TEST_F(UploadTest, AsksForTheBodyOnlyOnceTheHandlerWantsIt) {
  start();
  RawConnection refused(server_->port());
  refused.send("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  const auto answer = refused.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 409 ")) << answer;
  EXPECT_EQ(answer.find("100 Continue"), std::string::npos);
  RawConnection taken(server_->port());
  taken.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(taken.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  taken.send("abcde");
  EXPECT_NE(taken.read_until("abcde").find("200 OK"), std::string::npos);
}

TEST_F(UploadTest, RefusesWhileTheClientStillSends) {
  start();
  RawConnection raw(server_->port());
  raw.send("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc");
  EXPECT_NE(raw.read_all().find("conflict"), std::string::npos);
}

TEST_F(UploadTest, AnEmptyBodyIsAnOrdinaryRequest) {
  router_.add("POST", "/empty",
              [](const Request& request) { return text(request.upload ? "upload" : "none" + request.body); });
  start();
  RawConnection raw(server_->port());
  raw.send("POST /empty HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_NE(raw.read_all().find("none"), std::string::npos);
}

TEST_F(UploadTest, EndsWhenTheClientStalls) {
  start({.read_deadline = 100ms});
  RawConnection raw(server_->port());
  raw.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_NE(raw.read_all().find("request_timeout"), std::string::npos);
}

TEST_F(UploadTest, EndsWhenTheClientIsGone) {
  start();
  {
    RawConnection raw(server_->port());
    raw.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    begun_.wait();
  }
  server_->stop(10s);
  EXPECT_EQ(code_, Code::kCancelled);
}

TEST_F(UploadTest, EndsWhenTheServerStops) {
  start();
  RawConnection raw(server_->port());
  raw.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  begun_.wait();
  server_->stop(30s);
  EXPECT_EQ(code_, Code::kCancelled);
}

TEST_F(UploadTest, BrokenChunksAreRefused) {
  start();
  RawConnection raw(server_->port());
  raw.send("POST /wait HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_NE(raw.read_all().find("invalid_argument"), std::string::npos);
}

TEST_F(UploadTest, OthersAreAnsweredMeanwhile) {
  start({.workers = 1});
  RawConnection raw(server_->port());
  raw.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  begun_.wait();
  Client client{ClientConfig{}};
  EXPECT_EQ(client.send({.url = server_->url() + "/hello", .sink = {}}).status, 200);
}

}  // namespace
}  // namespace backstay::http
