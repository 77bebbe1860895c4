// The part of a session that has an upload read by its handler: one piece at a time, on the handler's own thread, so
// that nothing is held in memory and nobody else waits.
#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>

#include "http/session.h"

namespace backstay::http {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using core::Code;
using core::Error;

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kPieceSize = 256 * 1024;

}  // namespace

class Session::UploadReader final : public BodySource {
 public:
  UploadReader(std::shared_ptr<Session> session, std::optional<std::uint64_t> length)
      : session_(std::move(session)), length_(length) {}

  std::string_view next() override {
    const auto piece = std::make_shared<Piece>();
    auto coming = piece->get_future();
    asio::post(session_->socket_.get_executor(), [session = session_, piece] { session->pull(piece); });
    auto arrived = coming.get();
    if (arrived.error) throw Error(*arrived.error);
    bytes_ = std::move(arrived.bytes);
    return bytes_;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return length_; }

 private:
  const std::shared_ptr<Session> session_;
  const std::optional<std::uint64_t> length_;
  std::string bytes_;
};

bool Session::begin_upload() {
  if (!host_.core().config().is_upload) return false;
  auto request = std::make_shared<Request>(make_request());
  try {
    set_target(*request, std::string_view(parser_->get().target()));
  } catch (const Error&) {
    return false;  // refused where every request is
  }
  if (!host_.core().config().is_upload(*request)) return false;
  std::optional<std::uint64_t> length;
  if (parser_->content_length()) length = *parser_->content_length();
  request->upload = std::make_shared<UploadReader>(shared_from_this(), length);
  const bool taken = host_.run_stream([self = shared_from_this(), request] {
    auto response = std::make_shared<Response>(self->host_.core().answer(*request));
    asio::post(self->socket_.get_executor(), [self, response] { self->end_upload(std::move(*response)); });
  });
  if (!taken) {
    refuse(Error(Code::kUnavailable, "too many uploads and event streams are open"));
    return true;
  }
  continue_expected_ = expects_continue();
  upload_.emplace(std::move(*parser_));
  upload_->body_limit(boost::none);  // the handler's matter
  upload_->eager(true);
  unread_input_ = true;
  disarm(Phase::kHandling);
  return true;
}

void Session::pull(std::shared_ptr<Piece> piece) {
  wanted_ = std::move(piece);
  if (phase_ == Phase::kClosed) return fail_piece(Error(Code::kCancelled, "the client of the upload is gone"));
  if (timed_out_) return fail_piece(Error(Code::kRequestTimeout, "the upload did not go on in time"));
  if (host_.stopping()) return fail_piece(Error(Code::kCancelled, "the server stops"));
  arm(Phase::kUploading, host_.core().config().read_deadline);
  if (!continue_expected_) return parse_upload();
  continue_expected_ = false;
  out_head_ = "HTTP/1.1 100 Continue\r\n\r\n";
  async_write(asio::buffer(out_head_), [self = shared_from_this()](const ErrorCode& error, std::size_t) {
    if (error) return self->on_upload_read(error, 0);
    self->parse_upload();
  });
}

void Session::parse_upload() {
  std::string piece(kPieceSize, '\0');
  auto& body = upload_->get().body();
  body.data = piece.data();
  body.size = piece.size();
  body.more = true;
  while (input_.size() > 0 && !upload_->is_done() && body.size > 0) {
    ErrorCode error;
    const std::size_t used = upload_->put(input_.data(), error);
    input_.consume(used);
    if (error == beast_http::error::need_buffer || error == beast_http::error::need_more) break;
    if (error) {
      return fail_piece(Error(Code::kInvalidArgument, "the request is not well-formed HTTP: " + error.message()));
    }
  }
  piece.resize(piece.size() - body.size);
  if (!piece.empty() || upload_->is_done()) return give_piece(std::move(piece));
  async_read_some(kReadSize, [self = shared_from_this()](const ErrorCode& error, std::size_t size) {
    self->on_upload_read(error, size);
  });
}

void Session::on_upload_read(const ErrorCode& error, std::size_t size) {
  if (timed_out_) return fail_piece(Error(Code::kRequestTimeout, "the upload did not go on in time"));
  if (error && host_.stopping()) return fail_piece(Error(Code::kCancelled, "the server stops"));
  if (error || phase_ == Phase::kClosed) {
    close();
    return fail_piece(Error(Code::kCancelled, "the client of the upload is gone"));
  }
  input_.commit(size);
  parse_upload();
}

void Session::give_piece(std::string bytes) {
  disarm(Phase::kHandling);
  std::exchange(wanted_, nullptr)->set_value({.bytes = std::move(bytes), .error = std::nullopt});
}

void Session::fail_piece(const Error& error) {
  if (phase_ != Phase::kClosed) disarm(Phase::kHandling);
  std::exchange(wanted_, nullptr)->set_value({.bytes = {}, .error = error});
}

void Session::end_upload(Response response) {
  if (phase_ == Phase::kClosed) return;
  unread_input_ = !upload_->is_done();
  const bool keep_alive = !unread_input_ && upload_->keep_alive();
  upload_.reset();
  send(std::move(response), keep_alive);
}

}  // namespace backstay::http
