// The HTTP/1.1 server: sockets, TLS and limits on one I/O thread, handlers on a bounded pool of workers.
//
// A client that stalls holds a socket and nothing else. Handlers see complete requests only. An exception of a handler
// becomes an answer through the renderer: core::Error as it is, anything else as Error(internal) whose text is logged
// and not sent. Refusals by the server itself (400, 408, 413, 431, 503) are rendered the same way.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "core/random.h"
#include "http/types.h"

namespace backstay::http {

struct ListenAddress {
  std::string host = "127.0.0.1";  // a numeric IPv4 or IPv6 address
  std::uint16_t port = 0;          // 0: any free port
};
/// "127.0.0.1:8080", "[::1]:0". Throws Error(config_error) that quotes the text.
ListenAddress parse_listen_address(std::string_view text);

/// PEM files: the certificate with its chain, and its key.
struct TlsFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

struct ServerConfig {
  ListenAddress listen = {};
  std::optional<TlsFiles> tls = {};  // TLS 1.2 or newer; nothing: plain HTTP
  unsigned workers = 8;
  std::size_t max_queued_requests = 256;  // complete requests that wait for a worker; beyond: 503
  // Paths whose requests have a worker of their own: they are answered while all others are held.
  std::vector<std::string> reserved_paths = {};
  std::size_t max_connections = 1024;  // beyond: accepting pauses until one closes
  std::size_t max_streams = 64;        // open event streams and uploads, each with a thread; beyond: 503
  // True for a request, of which only the head is there, whose handler reads the body itself: it runs on a thread of
  // its own, body_limit does not bind it, and read_deadline holds for each piece.
  std::function<bool(const Request&)> is_upload = {};
  std::size_t header_limit = 16 * 1024;
  std::size_t body_limit = 8 * 1024 * 1024;
  std::chrono::milliseconds read_deadline = std::chrono::seconds(30);   // for one whole request, TLS handshake likewise
  std::chrono::milliseconds write_deadline = std::chrono::seconds(30);  // for one answer, or one write of a stream
  std::chrono::milliseconds idle_deadline = std::chrono::seconds(75);   // between two requests of a connection
};

class Server {
 public:
  /// Binds and listens; connections wait in the kernel until start(). Throws Error(config_error) if the address cannot
  /// be bound or the TLS files cannot be used. Random and Metrics must outlive the server.
  Server(ServerConfig config, Handler handler, ErrorRenderer renderer, core::Random& random, core::Metrics& metrics);
  /// Stops without grace.
  ~Server();

  /// Starts to serve.
  void start();
  /// Stops accepting, ends streams, lets running requests finish for at most `grace`, then closes every connection.
  /// Waits for handlers that are still running after that, since their code cannot be interrupted. May be called twice.
  void stop(std::chrono::milliseconds grace);

  /// The port that was bound.
  [[nodiscard]] std::uint16_t port() const;
  /// "http://127.0.0.1:40123" or "https://…", with the bound port.
  [[nodiscard]] std::string url() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstay::http
