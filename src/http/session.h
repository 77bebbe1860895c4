// One connection of the server: reads requests, has them answered, writes the answers. Private to the server.
//
// Everything here runs on the server's I/O thread, except where it says otherwise. One deadline timer per session; what
// it does depends on the phase.
#pragma once

#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "core/error.h"
#include "http/server_core.h"

namespace backstay::http {

class Session;

/// What a session needs from its server.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual ServerCore& core() = 0;
  /// True once the server stops: no connection is kept alive any more.
  virtual bool stopping() const = 0;
  /// Runs a task for a path on a worker; false if all are busy and the queue is full.
  virtual bool run_on_worker(std::string_view path, std::function<void()> task) = 0;
  /// Runs a task on a thread of its own; false if too many streams are open.
  virtual bool run_stream(std::function<void()> task) = 0;
  virtual void session_closed(Session& session) = 0;
};

class Session final : public std::enable_shared_from_this<Session> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  /// `tls` may be null; it and the host outlive the session.
  Session(Socket socket, boost::asio::ssl::context* tls, SessionHost& host);

  void start();
  /// The server stops: an idle connection closes, a stream is asked to end, a running request goes on.
  void wind_down();
  void close();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using ErrorCode = boost::system::error_code;
  using UploadParser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
  /// What came of the body, or why nothing does. A value, as no exception object may be shared between the two threads.
  struct Arrived {
    std::string bytes{};
    std::optional<core::Error> error{};
  };
  using Piece = std::promise<Arrived>;
  enum class Phase { kHandshake, kIdle, kReading, kHandling, kUploading, kWriting, kStreaming, kLingering, kClosed };
  class ChunkWriter;
  class UploadReader;

  void await_request(std::chrono::milliseconds idle);
  void read_more();
  void on_read(const ErrorCode& error, std::size_t size);
  void parse();
  void on_header();
  void on_request();
  /// Answers an error of the request itself and closes the connection.
  void refuse(const core::Error& error, std::optional<int> status = std::nullopt);
  Request make_request();
  [[nodiscard]] bool expects_continue() const;

  // An upload, whose handler reads the body piece by piece; see session_upload.cpp.
  /// False for any other request.
  bool begin_upload();
  void pull(std::shared_ptr<Piece> piece);
  void parse_upload();
  void on_upload_read(const ErrorCode& error, std::size_t size);
  void give_piece(std::string bytes);
  void fail_piece(const core::Error& error);
  void end_upload(Response response);

  void send(Response response, bool keep_alive);
  void on_sent(bool keep_alive, const ErrorCode& error);
  void linger();

  void begin_stream(Response response);
  /// On the stream's own thread.
  void produce(const StreamProducer& producer, bool chunked);
  void watch_peer();
  /// Writes bytes of a stream; `done` is told whether they went out.
  void write_stream(std::string_view bytes, std::function<void(bool)> done);
  void end_stream(bool complete);

  template <typename Buffers, typename Handler>
  void async_write(const Buffers& buffers, Handler handler);
  template <typename Handler>
  void async_read_some(std::size_t size, Handler handler);

  void arm(Phase phase, std::chrono::milliseconds time);
  void disarm(Phase phase);
  void on_deadline();

  SessionHost& host_;
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  boost::asio::steady_timer timer_;
  std::uint64_t timer_generation_ = 0;
  std::string client_;
  Phase phase_ = Phase::kHandshake;
  bool timed_out_ = false;
  bool unread_input_ = false;  // the peer may still be sending: close gently, or it never sees the answer
  bool head_request_ = false;
  bool http_1_0_ = false;

  boost::beast::flat_buffer input_;
  std::optional<Parser> parser_;
  std::optional<UploadParser> upload_;
  /// What the handler of an upload waits for. Shared, because set_value may still be at work when get returns.
  std::shared_ptr<Piece> wanted_;
  bool continue_expected_ = false;
  std::string out_head_;
  std::string out_body_;
  std::stop_source stream_stop_;
};

template <typename Buffers, typename Handler>
void Session::async_write(const Buffers& buffers, Handler handler) {
  if (tls_) {
    boost::asio::async_write(*tls_, buffers, std::move(handler));
  } else {
    boost::asio::async_write(socket_, buffers, std::move(handler));
  }
}

template <typename Handler>
void Session::async_read_some(std::size_t size, Handler handler) {
  const auto buffer = input_.prepare(size);
  if (tls_) {
    tls_->async_read_some(buffer, std::move(handler));
  } else {
    socket_.async_read_some(buffer, std::move(handler));
  }
}

}  // namespace backstay::http
