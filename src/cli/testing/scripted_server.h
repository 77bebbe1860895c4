// A server that answers from a list of routes and remembers every request.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "http/client.h"

namespace backstay::cli::testing {

class ScriptedServer {
 public:
  struct Seen {
    std::string target;  // "POST /api/teams"
    std::string body;
    std::string authorization;
    std::string last_event_id;
  };
  std::vector<Seen> requests;
  bool reachable = true;

  /// "GET /path?query" -> answers in order; the last one stays.
  void on(const std::string& target, const std::string& body, int status = 200) {
    answers_[target].push_back({status, body});
  }

  http::ClientResponse answer(const http::ClientRequest& request) {
    if (!reachable) throw core::Error(core::Code::kStoreUnreachable, "connection refused");
    const std::string path = request.url.substr(request.url.find('/', request.url.find("://") + 3));
    requests.push_back({request.method + " " + path, std::string(core::as_text(request.body)),
                        request.headers.find("Authorization").value_or(""),
                        request.headers.find("Last-Event-ID").value_or("")});
    auto found = answers_.find(requests.back().target);
    http::ClientResponse response;
    if (found == answers_.end()) {
      response.status = 404;
      response.body = core::to_bytes(R"({"status":404,"title":"Not Found","code":"not_found","traceId":"t"})");
      return response;
    }
    response.status = found->second.front().status;
    response.body = core::to_bytes(found->second.front().body);
    if (request.sink && response.status == 200) request.sink(std::exchange(response.body, {}));
    if (found->second.size() > 1) found->second.pop_front();
    return response;
  }

 private:
  struct Answer {
    int status;
    std::string body;
  };
  std::map<std::string, std::deque<Answer>> answers_;
};

/// What a command connects through; the server outlives it.
class ScriptedTransport final : public http::Transport {
 public:
  explicit ScriptedTransport(ScriptedServer& server) : server_(server) {}
  using http::Transport::send;
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
    return server_.answer(request);
  }

 private:
  ScriptedServer& server_;
};

}  // namespace backstay::cli::testing
