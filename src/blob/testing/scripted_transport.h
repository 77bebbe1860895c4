// A transport that answers from a script and keeps what it was asked.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "http/client.h"

namespace backstay::blob::testing {

class ScriptedTransport final : public http::Transport {
 public:
  using Answer = std::function<http::ClientResponse()>;

  ScriptedTransport& answer(int status, std::string body = "", http::Headers headers = {}) {
    script_.push_back([status, body = std::move(body), headers = std::move(headers)] {
      return http::ClientResponse{.status = status, .headers = headers, .body = core::to_bytes(body)};
    });
    return *this;
  }
  ScriptedTransport& fail(core::Code code) {
    script_.push_back([code]() -> http::ClientResponse { throw core::Error(code, "scripted failure"); });
    return *this;
  }

  using Transport::send;
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
    requests.push_back(request);
    bodies.emplace_back(core::as_text(request.body));
    if (script_.empty()) throw core::Error(core::Code::kInternal, "the script has no answer for " + request.url);
    const Answer next = std::move(script_.front());
    script_.pop_front();
    return next();
  }
  [[nodiscard]] bool done() const { return script_.empty(); }

  std::vector<http::ClientRequest> requests;  // their bodies are in `bodies`
  std::vector<std::string> bodies;

 private:
  std::deque<Answer> script_;
};

}  // namespace backstay::blob::testing
