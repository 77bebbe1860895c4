// What the server's sessions share: configuration, the handler and how its errors become answers. No I/O.
#pragma once

#include <array>

#include "core/metrics.h"
#include "core/random.h"
#include "http/server.h"
#include "http/types.h"

namespace backstay::http {

/// Safe for any thread.
class ServerCore {
 public:
  ServerCore(ServerConfig config, Handler handler, ErrorRenderer renderer, core::Random& random,
             core::Metrics& metrics);

  [[nodiscard]] const ServerConfig& config() const { return config_; }
  /// Runs the handler; whatever it throws becomes an answer.
  Response answer(const Request& request) const;
  /// The rendered error; a plain text one if the renderer fails. An Error(internal) is logged.
  Response render(const Request& request, const core::Error& error) const;
  /// The trace id of a W3C traceparent header, else a fresh one.
  std::string trace_id(const Headers& headers);
  void count_answer(int status);
  void set_connections(std::size_t count) { connections_.set(static_cast<double>(count)); }

 private:
  Response call_renderer(const Request& request, const core::Error& error) const;

  const ServerConfig config_;
  const Handler handler_;
  const ErrorRenderer renderer_;
  core::Random& random_;
  std::array<core::Counter, 5> answers_;  // 1xx to 5xx
  core::Gauge connections_;
};

/// Splits a request target ("/a?b=c" or, from proxies, "http://host/a?b=c") into path and decoded query.
/// Throws Error(invalid_argument).
void set_target(Request& request, std::string_view target);

/// Status line and header fields with the empty line. `body_size`: nothing for an answer whose length is not known.
/// Line breaks inside values become spaces.
std::string format_head(const Response& response, std::optional<std::size_t> body_size, bool chunked, bool keep_alive);

}  // namespace backstay::http
