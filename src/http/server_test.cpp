#include "http/server.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/time.h"
#include "http/client.h"
#include "http/router.h"
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

Response render(const Request& request, const Error& error) {
  return text(fmt::format("{}|{}|{}", core::code_name(error.code()), error.message(), request.trace_id),
              core::code_http_status(error.code()));
}

std::size_t count(std::string_view haystack, std::string_view needle) {
  std::size_t found = 0;
  for (auto at = haystack.find(needle); at != std::string_view::npos; at = haystack.find(needle, at + 1)) ++found;
  return found;
}

class ServerTest : public ::testing::Test {
 public:
  ServerTest() {
    router_.add("GET", "/hello", [](const Request&) { return text("hello"); });
    router_.add("GET", "/things/{id}", [](const Request& request) {
      return text(request.param("id") + "?" + request.query_value("q").value_or(""));
    });
    router_.add("POST", "/echo", [](const Request& request) { return text(request.body); });
    router_.add("GET", "/nothing", [](const Request&) { return Response{.status = 204}; });
    router_.add("GET", "/conflict", [](const Request&) -> Response { throw Error(Code::kConflict, "busy"); });
    router_.add("GET", "/broken", [](const Request&) -> Response { throw std::runtime_error("secret detail"); });
    router_.add("GET", "/inject", [](const Request&) {
      Response response = text("x");
      response.headers.add("X-Echo", "a\r\nSet-Cookie: evil");
      return response;
    });
    router_.add("GET", "/trace", [](const Request& request) { return text(request.trace_id + " " + request.client); });
  }
  ~ServerTest() override {
    if (server_) server_->stop(5s);
  }

 protected:
  Server& start(ServerConfig config = {}) {
    server_.emplace(
        std::move(config), [this](const Request& request) { return router_.handle(request); }, render, random_,
        metrics_);
    server_->start();
    return *server_;
  }
  ClientResponse send(const std::string& method, const std::string& path, std::string_view body = "",
                      Headers headers = {}) {
    ClientRequest request{.method = method,
                          .url = server_->url() + path,
                          .headers = std::move(headers),
                          .body = core::as_bytes(body),
                          .sink = {}};
    request.deadline = 10s;
    return client_.send(request);
  }
  static std::string body(const ClientResponse& response) { return std::string(core::as_text(response.body)); }

  core::SystemRandom random_;
  core::Metrics metrics_;
  Router router_;
  Client client_{ClientConfig{}};
  std::optional<Server> server_;
};

TEST_F(ServerTest, AnswersOverARealSocket) {
  start();
  const auto response = send("GET", "/things/a%20b?q=1%2B1");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(body(response), "a b?1+1");
  EXPECT_EQ(response.headers.find("content-type"), "text/plain");
  EXPECT_EQ(body(send("POST", "/echo", "some text")), "some text");
  const auto nothing = send("GET", "/nothing");
  EXPECT_EQ(nothing.status, 204);
  EXPECT_FALSE(nothing.headers.find("Content-Length"));
}

TEST_F(ServerTest, RendersErrorsOfHandlers) {
  start();
  EXPECT_EQ(send("GET", "/nowhere").status, 404);
  const auto method = send("DELETE", "/hello");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.find("Allow"), "GET, HEAD");
  EXPECT_TRUE(body(send("GET", "/conflict")).starts_with("conflict|busy|"));
  const auto broken = send("GET", "/broken");
  EXPECT_EQ(broken.status, 500);
  EXPECT_EQ(body(broken).find("secret"), std::string::npos);
  EXPECT_EQ(send("GET", "/hello?a=%q").status, 400);
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
  start();
  RawConnection raw(server_->port());
  raw.send("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = raw.read_all();
  EXPECT_NE(answer.find("Content-Length: 5\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(ServerTest, DoesNotLetHeaderValuesBreakTheLine) {
  start();
  const auto response = send("GET", "/inject");
  EXPECT_FALSE(response.headers.find("Set-Cookie"));
  EXPECT_EQ(response.headers.find("X-Echo"), "a  Set-Cookie: evil");
}

TEST_F(ServerTest, TakesTheCallersTraceOrMakesOne) {
  start();
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  const auto known = send("GET", "/trace", "", {{"traceparent", "00-" + id + "-b7ad6b7169203331-01"}});
  EXPECT_EQ(body(known), id + " 127.0.0.1");
  const std::string fresh = body(send("GET", "/trace"));
  EXPECT_EQ(fresh.size(), 32 + std::string(" 127.0.0.1").size());
  EXPECT_NE(fresh, body(send("GET", "/trace")));
}

TEST_F(ServerTest, KeepsAConnectionAndAnswersPipelinedRequestsInOrder) {
  start();
  RawConnection raw(server_->port());
  raw.send(
      "GET /things/1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwoGET "
      "/things/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = raw.read_all();
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 3U) << answers;
  EXPECT_LT(answers.find("\r\n\r\n1?"), answers.find("\r\n\r\ntwo"));
  EXPECT_LT(answers.find("\r\n\r\ntwo"), answers.find("\r\n\r\n3?"));
}

TEST_F(ServerTest, ReadsAChunkedBody) {
  start();
  RawConnection raw(server_->port());
  raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nab");
  raw.send("cd\r\n3\r\nefg\r\n0\r\n\r\n");
  EXPECT_TRUE(raw.read_all().ends_with("\r\n\r\nabcdefg"));
}

TEST_F(ServerTest, SaysContinueToAClientThatWaits) {
  start();
  RawConnection raw(server_->port());
  raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(raw.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("ok");
  EXPECT_TRUE(raw.read_all().ends_with("\r\n\r\nok"));
}

TEST_F(ServerTest, RefusesALargeBodyBeforeReadingIt) {
  start({.body_limit = 1000});
  RawConnection raw(server_->port());
  raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nfirst bytes");
  const std::string answer = raw.read_until("body_too_large");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST_F(ServerTest, RefusesALargeBodyWithoutSayingContinue) {
  start({.body_limit = 1000});
  RawConnection raw(server_->port());
  raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_TRUE(raw.read_until("body_too_large").starts_with("HTTP/1.1 413 "));
}

TEST_F(ServerTest, RefusesAChunkedBodyOverTheLimit) {
  start({.body_limit = 1000});
  RawConnection raw(server_->port());
  raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + std::string(0x800, 'x') +
           "\r\n");
  EXPECT_TRUE(raw.read_until("body_too_large").starts_with("HTTP/1.1 413 "));
}

// A client that sends all of it before it reads still gets the answer.
TEST_F(ServerTest, AnswersAClientThatSendsOnRegardless) {
  start({.body_limit = 1000});
  std::string large;
  large.resize(20'000'000, 'x');
  EXPECT_EQ(send("POST", "/echo", large).status, 413);
}

TEST_F(ServerTest, AcceptsABodyOfTheLimit) {
  start({.body_limit = 100'000});
  EXPECT_EQ(body(send("POST", "/echo", std::string(100'000, 'x'))).size(), 100'000U);
}

TEST_F(ServerTest, RefusesALongHeader) {
  start();
  RawConnection raw(server_->port());
  raw.send("GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(20'000, 'a') + "\r\n\r\n");
  EXPECT_TRUE(raw.read_until("invalid_argument").starts_with("HTTP/1.1 431 "));
}

TEST_F(ServerTest, RefusesWhatIsNotHttp) {
  start();
  for (const auto* bytes :
       {"hello\r\n\r\n", "GET hello HTTP/1.1\r\n\r\n", "GET /hello\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"}) {
    RawConnection raw(server_->port());
    raw.send(bytes);
    EXPECT_TRUE(raw.read_until("invalid_argument").starts_with("HTTP/1.1 400 ")) << bytes;
  }
}

TEST_F(ServerTest, CutsASlowClientAtTheDeadline) {
  start({.read_deadline = 300ms});
  RawConnection raw(server_->port());
  std::jthread drip([&](std::stop_token stop) {
    core::SystemClock clock;
    raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    while (clock.wait(stop, 20ms) && raw.send("x")) {
    }
  });
  const auto begin = std::chrono::steady_clock::now();
  const std::string answer = raw.read_until("request_timeout");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(ServerTest, ClosesAnIdleConnection) {
  start({.read_deadline = 200ms, .idle_deadline = 200ms});
  RawConnection silent(server_->port());
  EXPECT_EQ(silent.read_all(), "");
  RawConnection once(server_->port());
  once.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(once.read_all().ends_with("hello"));
}

TEST_F(ServerTest, StalledClientsDoNotBlockOthers) {
  start({.workers = 2});
  std::vector<std::unique_ptr<RawConnection>> stalled;
  for (int i = 0; i < 64; ++i) {
    stalled.push_back(std::make_unique<RawConnection>(server_->port()));
    stalled.back()->send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  }
  EXPECT_EQ(body(send("GET", "/hello")), "hello");
}

TEST_F(ServerTest, RunsHandlersAtTheSameTime) {
  std::latch together(4);
  router_.add("GET", "/meet", [&](const Request&) {
    together.arrive_and_wait();
    return text("met");
  });
  start({.workers = 4});
  std::atomic<int> met = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] { met += body(send("GET", "/meet")) == "met" ? 1 : 0; });
    }
  }
  EXPECT_EQ(met, 4);
  server_->stop(5s);
}

TEST_F(ServerTest, RefusesRequestsBeyondTheQueue) {
  std::latch entered(1);
  std::latch leave(1);
  router_.add("GET", "/wait", [&](const Request&) {
    entered.count_down();
    leave.wait();
    return text("done");
  });
  start({.workers = 1, .max_queued_requests = 1});
  RawConnection running(server_->port());
  running.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.wait();
  RawConnection first(server_->port());
  first.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  RawConnection second(server_->port());
  second.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  // One of the two waits in the queue, the other one is refused at once.
  std::atomic<int> refused = 0;
  std::atomic<int> served = 0;
  {
    std::vector<std::jthread> readers;
    for (RawConnection* connection : {&first, &second}) {
      readers.emplace_back([&, connection] {
        const std::string answer = connection->read_all();
        served += answer.ends_with("hello") ? 1 : 0;
        if (!answer.starts_with("HTTP/1.1 503 ")) return;
        ++refused;
        leave.count_down();
      });
    }
  }
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(served, 1);
  server_->stop(5s);
}

TEST_F(ServerTest, WaitsForRoomBeyondTheConnectionLimit) {
  start({.max_connections = 1});
  auto first = std::make_unique<RawConnection>(server_->port());
  first->send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(first->read_until("hello").ends_with("hello"));
  RawConnection second(server_->port());
  second.send("GET /things/2 HTTP/1.1\r\nHost: x\r\n\r\n");
  first.reset();
  EXPECT_TRUE(second.read_until("2?").ends_with("2?"));
}

TEST_F(ServerTest, StreamsUntilTheProducerReturns) {
  router_.add("GET", "/count", [](const Request&) {
    return Response{.status = 200,
                    .headers = {{"Content-Type", "text/event-stream"}},
                    .stream = [](StreamWriter& writer, const std::stop_token&) {
                      for (int i = 0; i < 3; ++i) writer.write(fmt::format("data: {}\n\n", i));
                    }};
  });
  start();
  const auto response = send("GET", "/count");
  EXPECT_EQ(body(response), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

TEST_F(ServerTest, AStreamThatFailsIsSeenToBeIncomplete) {
  router_.add("GET", "/fail", [](const Request&) {
    return Response{.stream = [](StreamWriter& writer, const std::stop_token&) {
      writer.write("part");
      throw std::runtime_error("lost");
    }};
  });
  start();
  EXPECT_THROW(send("GET", "/fail"), Error);
}

TEST_F(ServerTest, TellsAStreamThatItsClientIsGone) {
  std::atomic<bool> told = false;
  std::latch ended(1);
  router_.add("GET", "/events", [&](const Request&) {
    return Response{.stream = [&](StreamWriter& writer, const std::stop_token& stop) {
      writer.write("data: first\n\n");
      core::SystemClock clock;
      told = !clock.wait(stop, 10s);
      ended.count_down();
    }};
  });
  start();
  {
    RawConnection raw(server_->port());
    raw.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.read_until("first");
  }
  ended.wait();
  EXPECT_TRUE(told);
  server_->stop(5s);
}

TEST_F(ServerTest, LimitsOpenStreams) {
  router_.add("GET", "/events", [](const Request&) {
    return Response{.stream = [](StreamWriter& writer, const std::stop_token& stop) {
      writer.write("data: first\n\n");
      core::SystemClock clock;
      clock.wait(stop, 10s);
    }};
  });
  start({.max_streams = 1});
  RawConnection one(server_->port());
  one.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  one.read_until("first");
  EXPECT_EQ(send("GET", "/events").status, 503);
}

TEST_F(ServerTest, StopEndsOpenStreams) {
  router_.add("GET", "/events", [](const Request&) {
    return Response{.stream = [](StreamWriter& writer, const std::stop_token& stop) {
      core::SystemClock clock;
      while (writer.write("data: tick\n\n") && clock.wait(stop, 20ms)) {
      }
    }};
  });
  start();
  RawConnection raw(server_->port());
  raw.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  raw.read_until("tick");
  const auto begin = std::chrono::steady_clock::now();
  server_->stop(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_TRUE(raw.read_all().ends_with("0\r\n\r\n"));
}

TEST_F(ServerTest, StopLetsARunningRequestFinish) {
  std::latch entered(1);
  std::latch leave(1);
  router_.add("GET", "/wait", [&](const Request&) {
    entered.count_down();
    leave.wait();
    return text("done");
  });
  start();
  RawConnection raw(server_->port());
  RawConnection idle(server_->port());
  raw.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.wait();
  std::jthread stopper([&] { server_->stop(10s); });
  EXPECT_EQ(idle.read_all(), "");  // closed at once: stopping has begun
  leave.count_down();
  const std::string answer = raw.read_all();
  EXPECT_TRUE(answer.ends_with("done")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  stopper.join();
  EXPECT_ANY_THROW(RawConnection(server_->port()));
}

TEST_F(ServerTest, StopDoesNotWaitForAClientLongerThanItsGrace) {
  start();
  RawConnection half(server_->port());
  half.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  send("GET", "/hello");
  server_->stop(100ms);
  EXPECT_EQ(half.read_all(), "");
  server_->stop(100ms);
}

TEST_F(ServerTest, AnswersReservedPathsWhileEveryWorkerIsHeld) {
  std::latch entered(1);
  std::latch leave(1);
  router_.add("GET", "/wait", [&](const Request&) {
    entered.count_down();
    leave.wait();
    return text("done");
  });
  start({.workers = 1, .reserved_paths = {"/hello"}});
  RawConnection held(server_->port());
  held.send("GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  entered.wait();
  EXPECT_EQ(body(send("GET", "/hello")), "hello");
  leave.count_down();
  EXPECT_TRUE(held.read_all().ends_with("done"));
}

TEST_F(ServerTest, RefusesAnAddressInUse) {
  start();
  const ServerConfig config{.listen = {.host = "127.0.0.1", .port = server_->port()}};
  try {
    const Server second(config, [](const Request&) { return text(""); }, render, random_, metrics_);
    FAIL() << "bound twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kConfigError);
    EXPECT_NE(error.message().find(std::to_string(server_->port())), std::string::npos) << error.message();
  }
}

TEST(ListenAddressTest, ParsesAddresses) {
  EXPECT_EQ(parse_listen_address("127.0.0.1:8080").port, 8080);
  EXPECT_EQ(parse_listen_address("[::1]:0").host, "::1");
  EXPECT_EQ(parse_listen_address("0.0.0.0:1").host, "0.0.0.0");
  for (const auto* bad : {"", "8080", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "::1:80",
                          "[127.0.0.1]:80", "127.0.0.1:-1"}) {
    EXPECT_THROW(parse_listen_address(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace backstay::http
