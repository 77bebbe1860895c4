// The HTTP client: every outgoing request of Backstay.
//
// Only http and https; redirects are not followed; certificates are verified; no proxy from the environment. Every
// address passes the egress policy after resolution. A request has an overall deadline and is cut when it stalls.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/bytes.h"
#include "http/egress.h"
#include "http/types.h"

namespace backstay::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url = {};
  Headers headers = {};
  /// The body; it must stay valid during the call.
  core::ByteSpan body = {};
  /// For a success (2xx) only: takes the answer's body in pieces instead of ClientResponse::body. What it throws ends
  /// the request and comes out of send.
  std::function<void(core::ByteSpan)> sink = {};
  /// A longer answer (without a sink) is an error: nobody may fill our memory.
  std::uint64_t max_response_bytes = 64 * 1024 * 1024;
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
};

struct ClientResponse {
  int status = 0;
  Headers headers = {};
  core::Bytes body = {};
};

/// What sends requests; an interface so that protocol code can be tested against a script.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Sends one request and reads the whole answer, whatever its status. Safe for any thread. Throws
  ///   egress_refused     the address is not allowed
  ///   timeout            the deadline passed, or nothing moved for the stall time
  ///   store_unreachable  no connection, TLS or DNS failure, reset, truncated answer: the peer, not the request
  ///   cancelled          `stop` was requested
  ///   invalid_argument   the URL cannot be used
  /// Messages name host and port, never the query, headers or body.
  virtual ClientResponse send(const ClientRequest& request, std::stop_token stop) = 0;
  ClientResponse send(const ClientRequest& request) { return send(request, std::stop_token()); }
};

struct ClientConfig {
  EgressPolicy egress = {};
  std::filesystem::path ca_file = {};  // PEM; trusted instead of the system's authorities if set
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);
  std::chrono::seconds stall_time = std::chrono::seconds(30);  // cut when less than 1 KiB/s moves for this long
  std::size_t idle_connections = 16;
};

/// Keeps connections for reuse. Thread-safe.
class Client final : public Transport {
 public:
  explicit Client(ClientConfig config);
  ~Client() override;
  using Transport::send;
  ClientResponse send(const ClientRequest& request, std::stop_token stop) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The parts of an http or https URL.
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address without brackets
  std::uint16_t port = 0;
  std::string path;   // as written, starts with "/"
  std::string query;  // as written, without "?"
  /// "host:port", the port left out where it is the scheme's own; an IPv6 address in brackets.
  [[nodiscard]] std::string authority() const;
};
/// Throws Error(invalid_argument) that quotes the text, without user information, which is refused.
Url parse_url(std::string_view text);

}  // namespace backstay::http
