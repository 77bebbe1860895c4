#include "http/session.h"

#include <future>

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>

#include "core/log.h"
#include "core/text.h"

namespace backstay::http {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using core::Code;
using core::Error;

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::chrono::seconds kLingerTime{2};

}  // namespace

Session::Session(Socket socket, asio::ssl::context* tls, SessionHost& host)
    : host_(host), socket_(std::move(socket)), timer_(socket_.get_executor()) {
  if (tls != nullptr) tls_.emplace(socket_, *tls);
  ErrorCode ignored;
  const auto peer = socket_.remote_endpoint(ignored);
  if (!ignored) client_ = peer.address().to_string();
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

void Session::start() {
  const auto deadline = host_.core().config().read_deadline;
  if (!tls_) return await_request(deadline);
  arm(Phase::kHandshake, deadline);
  tls_->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](const ErrorCode& error) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->close();
    self->await_request(self->host_.core().config().read_deadline);
  });
}

void Session::wind_down() {
  if (phase_ == Phase::kIdle || phase_ == Phase::kHandshake || phase_ == Phase::kLingering) return close();
  if (phase_ == Phase::kStreaming) stream_stop_.request_stop();
  if (phase_ != Phase::kUploading) return;
  ErrorCode ignored;
  socket_.cancel(ignored);  // the pending read ends, and its handler learns why
}

void Session::close() {
  if (phase_ == Phase::kClosed) return;
  disarm(Phase::kClosed);
  stream_stop_.request_stop();
  ErrorCode ignored;
  socket_.close(ignored);
  host_.session_closed(*this);
}

// --- reading -------------------------------------------------------------------------------------------------------

void Session::await_request(std::chrono::milliseconds idle) {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(host_.core().config().header_limit));
  parser_->body_limit(boost::none);  // judged in on_header, where the answer can be a proper one
  parser_->eager(false);
  unread_input_ = false;
  if (input_.size() > 0) {
    arm(Phase::kReading, host_.core().config().read_deadline);
    return parse();
  }
  if (host_.stopping()) return close();
  arm(Phase::kIdle, idle);
  read_more();
}

void Session::read_more() {
  async_read_some(
      kReadSize, [self = shared_from_this()](const ErrorCode& error, std::size_t size) { self->on_read(error, size); });
}

void Session::on_read(const ErrorCode& error, std::size_t size) {
  if (phase_ == Phase::kClosed) return;
  if (timed_out_) return refuse(Error(Code::kRequestTimeout, "the request did not arrive in time"));
  if (error) return close();
  input_.commit(size);
  if (phase_ == Phase::kIdle) arm(Phase::kReading, host_.core().config().read_deadline);
  parse();
}

void Session::parse() {
  ErrorCode error;
  const bool had_header = parser_->is_header_done();
  const std::size_t used = parser_->put(input_.data(), error);
  input_.consume(used);
  unread_input_ = true;
  if (error == beast_http::error::header_limit) {
    return refuse(Error(Code::kInvalidArgument, fmt::format("the request's header is longer than {} bytes",
                                                            host_.core().config().header_limit)),
                  431);
  }
  if (error == beast_http::error::body_limit) {
    return refuse(
        Error(Code::kBodyTooLarge, fmt::format("the body is larger than {} bytes", host_.core().config().body_limit)));
  }
  if (error && error != beast_http::error::need_more) {
    return refuse(Error(Code::kInvalidArgument, "the request is not well-formed HTTP: " + error.message()));
  }
  if (!had_header && parser_->is_header_done()) return on_header();
  if (parser_->is_done()) return on_request();
  read_more();
}

bool Session::expects_continue() const {
  const auto expect = parser_->get().find(beast_http::field::expect);
  return expect != parser_->get().end() && core::to_lower(std::string_view(expect->value())) == "100-continue";
}

void Session::on_header() {
  if (!parser_->is_done() && begin_upload()) return;
  const std::size_t limit = host_.core().config().body_limit;
  if (parser_->content_length() && *parser_->content_length() > limit) {
    return refuse(Error(Code::kBodyTooLarge, fmt::format("the body of {} bytes is larger than {} bytes",
                                                         *parser_->content_length(), limit)));
  }
  parser_->body_limit(limit);
  parser_->eager(true);
  if (parser_->is_done()) return on_request();
  if (!expects_continue()) {
    return input_.size() > 0 ? parse() : read_more();
  }
  out_head_ = "HTTP/1.1 100 Continue\r\n\r\n";
  async_write(asio::buffer(out_head_), [self = shared_from_this()](const ErrorCode& error, std::size_t) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->close();
    if (self->input_.size() > 0) return self->parse();
    self->read_more();
  });
}

Request Session::make_request() {
  Request request;
  request.client = client_;
  request.secure = tls_.has_value();
  if (parser_->is_header_done()) {
    const auto& message = parser_->get();
    request.method = std::string(message.method_string());
    for (const auto& field : message) {
      request.headers.add(std::string(field.name_string()), std::string(field.value()));
    }
    head_request_ = request.method == "HEAD";
    http_1_0_ = message.version() < 11;
  }
  request.trace_id = host_.core().trace_id(request.headers);
  return request;
}

void Session::on_request() {
  unread_input_ = false;
  const bool keep_alive = parser_->keep_alive();
  auto request = std::make_shared<Request>(make_request());
  request->body = std::move(parser_->get().body());
  try {
    set_target(*request, std::string_view(parser_->get().target()));
  } catch (const Error& error) {
    return send(host_.core().render(*request, error), keep_alive);
  }
  disarm(Phase::kHandling);
  const bool taken = host_.run_on_worker(request->path, [self = shared_from_this(), request, keep_alive] {
    auto response = std::make_shared<Response>(self->host_.core().answer(*request));
    asio::post(self->socket_.get_executor(), [self, response, keep_alive] {
      if (self->phase_ != Phase::kClosed) self->send(std::move(*response), keep_alive);
    });
  });
  if (!taken) {
    send(host_.core().render(*request, Error(Code::kUnavailable, "too many requests are waiting")), keep_alive);
  }
}

void Session::refuse(const Error& error, std::optional<int> status) {
  Response response = host_.core().render(make_request(), error);
  if (status) response.status = *status;
  unread_input_ = true;
  send(std::move(response), false);
}

// --- writing -------------------------------------------------------------------------------------------------------

void Session::send(Response response, bool keep_alive) {
  if (response.stream) return begin_stream(std::move(response));
  host_.core().count_answer(response.status);
  keep_alive = keep_alive && !host_.stopping();
  const bool bodyless = response.status == 204 || response.status == 304;
  out_body_ = std::move(response.body);
  out_head_ = format_head(response, bodyless ? std::nullopt : std::optional(out_body_.size()), false, keep_alive);
  if (bodyless || head_request_) out_body_.clear();
  arm(Phase::kWriting, host_.core().config().write_deadline);
  const std::array buffers = {asio::buffer(std::as_const(out_head_)), asio::buffer(std::as_const(out_body_))};
  async_write(buffers, [self = shared_from_this(), keep_alive](const ErrorCode& error, std::size_t) {
    self->on_sent(keep_alive, error);
  });
}

void Session::on_sent(bool keep_alive, const ErrorCode& error) {
  if (phase_ == Phase::kClosed) return;
  if (error) return close();
  if (keep_alive) return await_request(host_.core().config().idle_deadline);
  if (unread_input_ && !host_.stopping()) return linger();
  close();
}

// Closing while the peer still sends would reset the connection, and the peer might never read our answer.
void Session::linger() {
  if (phase_ != Phase::kLingering) {
    arm(Phase::kLingering, kLingerTime);
    ErrorCode ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }
  input_.clear();
  socket_.async_read_some(input_.prepare(kReadSize), [self = shared_from_this()](const ErrorCode& error, std::size_t) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->close();
    self->linger();
  });
}

// --- streams -------------------------------------------------------------------------------------------------------

/// Runs on the stream's thread; each write waits until the I/O thread has sent it.
class Session::ChunkWriter final : public StreamWriter {
 public:
  ChunkWriter(std::shared_ptr<Session> session, bool chunked) : session_(std::move(session)), chunked_(chunked) {}

  bool write(std::string_view bytes) override {
    if (bytes.empty()) return true;
    const std::string framed = chunked_ ? fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes) : std::string(bytes);
    // Shared, because set_value may still be at work when get returns.
    const auto sent = std::make_shared<std::promise<bool>>();
    asio::post(session_->socket_.get_executor(), [session = session_, &framed, sent] {
      session->write_stream(framed, [sent](bool ok) { sent->set_value(ok); });
    });
    return sent->get_future().get();
  }

 private:
  const std::shared_ptr<Session> session_;
  const bool chunked_;
};

void Session::begin_stream(Response response) {
  const bool chunked = !http_1_0_;
  out_head_ = format_head(response, std::nullopt, chunked, false);
  // The thread is taken before the head goes out, while the answer can still be a refusal.
  const auto head_sent = std::make_shared<std::promise<bool>>();
  if (!head_request_ &&
      !host_.run_stream([self = shared_from_this(), chunked, head_sent, producer = std::move(response.stream)] {
        if (head_sent->get_future().get()) self->produce(producer, chunked);
      })) {
    return refuse(Error(Code::kUnavailable, "too many event streams are open"));
  }
  host_.core().count_answer(response.status);
  arm(Phase::kWriting, host_.core().config().write_deadline);
  async_write(asio::buffer(out_head_), [self = shared_from_this(), head_sent](const ErrorCode& error, std::size_t) {
    const bool go_on = !error && !self->head_request_ && self->phase_ != Phase::kClosed;
    if (go_on) self->disarm(Phase::kStreaming);
    head_sent->set_value(go_on);
    if (!go_on) return self->close();
    if (self->host_.stopping()) self->stream_stop_.request_stop();
    self->watch_peer();
  });
}

void Session::produce(const StreamProducer& producer, bool chunked) {
  bool complete = false;
  try {
    ChunkWriter writer(shared_from_this(), chunked);
    producer(writer, stream_stop_.get_token());
    complete = true;
  } catch (const std::exception& failure) {
    core::log_error("http.stream_failed", failure.what());
  }
  asio::post(socket_.get_executor(), [self = shared_from_this(), complete] { self->end_stream(complete); });
}

// A client of a stream sends nothing more; what a read brings is its end, or bytes that are of no use any more.
void Session::watch_peer() {
  async_read_some(1024, [self = shared_from_this()](const ErrorCode& error, std::size_t) {
    if (self->phase_ == Phase::kClosed) return;
    if (error) return self->close();
    self->watch_peer();
  });
}

void Session::write_stream(std::string_view bytes, std::function<void(bool)> done) {
  if (phase_ == Phase::kClosed) return done(false);
  arm(Phase::kStreaming, host_.core().config().write_deadline);
  async_write(asio::buffer(bytes),
              [self = shared_from_this(), done = std::move(done)](const ErrorCode& error, std::size_t) {
                if (!error && self->phase_ == Phase::kStreaming) self->disarm(Phase::kStreaming);
                if (error) self->close();
                done(!error);
              });
}

void Session::end_stream(bool complete) {
  if (phase_ == Phase::kClosed) return;
  if (!complete || http_1_0_) return close();
  out_head_ = "0\r\n\r\n";
  arm(Phase::kStreaming, host_.core().config().write_deadline);
  async_write(asio::buffer(out_head_), [self = shared_from_this()](const ErrorCode&, std::size_t) { self->close(); });
}

// --- the wire and the timer ----------------------------------------------------------------------------------------

void Session::arm(Phase phase, std::chrono::milliseconds time) {
  phase_ = phase;
  const std::uint64_t generation = ++timer_generation_;
  timer_.expires_after(time);
  timer_.async_wait([self = shared_from_this(), generation](const ErrorCode& error) {
    if (!error && generation == self->timer_generation_) self->on_deadline();
  });
}

void Session::disarm(Phase phase) {
  phase_ = phase;
  ++timer_generation_;
  timer_.cancel();
}

void Session::on_deadline() {
  if (phase_ != Phase::kReading && phase_ != Phase::kUploading) return close();
  timed_out_ = true;
  ErrorCode ignored;
  socket_.cancel(ignored);  // the pending read ends, and on_read answers
}

}  // namespace backstay::http
