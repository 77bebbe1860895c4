#include "http/server.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "core/log.h"
#include "core/mutex.h"
#include "core/text.h"
#include "http/session.h"
#include "http/worker_pool.h"

namespace backstay::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using core::Code;
using core::Error;
using ErrorCode = boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{100};

std::string format_address(const ListenAddress& address) {
  return address.host.find(':') == std::string::npos ? fmt::format("{}:{}", address.host, address.port)
                                                     : fmt::format("[{}]:{}", address.host, address.port);
}

void check(const ErrorCode& error, std::string_view what) {
  if (error) throw Error(Code::kConfigError, fmt::format("{}: {}", what, error.message()));
}

std::unique_ptr<asio::ssl::context> make_tls(const std::optional<TlsFiles>& files) {
  if (!files) return nullptr;
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  ErrorCode error;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                           asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1,
                       error);
  check(error, "cannot limit TLS to version 1.2 and newer");
  context->use_certificate_chain_file(files->certificate.string(), error);
  check(error, fmt::format("cannot use the TLS certificate '{}'", files->certificate.string()));
  context->use_private_key_file(files->key.string(), asio::ssl::context::pem, error);
  check(error, fmt::format("cannot use the TLS key '{}'", files->key.string()));
  return context;
}

}  // namespace

ListenAddress parse_listen_address(std::string_view text) {
  const auto refuse = [&]() {
    return Error(Code::kConfigError,
                 fmt::format("'{}' is not a listen address such as 127.0.0.1:8080 or [::1]:8080", text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) throw refuse();
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto port = core::parse_int(text.substr(colon + 1));
  ErrorCode error;
  const auto address = asio::ip::make_address(std::string(host), error);
  if (error || bracketed != address.is_v6() || !port || *port < 0 || *port > 65535) throw refuse();
  return {.host = std::string(host), .port = static_cast<std::uint16_t>(*port)};
}

class Server::Impl final : public SessionHost {
 public:
  Impl(ServerConfig config, Handler handler, ErrorRenderer renderer, core::Random& random, core::Metrics& metrics)
      : core_(std::move(config), std::move(handler), std::move(renderer), random, metrics),
        tls_(make_tls(core_.config().tls)),
        acceptor_(io_),
        accept_timer_(io_) {
    bind(core_.config().listen);
  }
  ~Impl() override { stop(std::chrono::milliseconds(0)); }

  void start() {
    pool_.emplace(core_.config().workers, core_.config().max_queued_requests);
    reserve_.emplace(1U, core_.config().max_queued_requests);
    work_.emplace(io_.get_executor());
    asio::post(io_, [this] { accept(); });
    thread_ = std::jthread([this] { io_.run(); });
  }

  void stop(std::chrono::milliseconds grace) {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { wind_down(); });
    wait_until_empty(grace);
    asio::post(io_, [this] {
      while (!sessions_.empty()) (*sessions_.begin())->close();
    });
    // All of them may wait for the I/O thread, so it ends last, and by itself: it is not cut off before it has closed
    // the sessions, and then nothing is left for it to do.
    pool_->stop();
    reserve_->stop();
    join_streams();
    work_.reset();
    thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const {
    ListenAddress address = core_.config().listen;
    address.port = port_;
    return (tls_ ? "https://" : "http://") + format_address(address);
  }

  // SessionHost, on the I/O thread:
  ServerCore& core() override { return core_; }
  bool stopping() const override { return stopping_; }
  bool run_on_worker(std::string_view path, std::function<void()> task) override {
    const auto& reserved = core_.config().reserved_paths;
    const bool is_reserved = std::ranges::find(reserved, path) != reserved.end();
    return (is_reserved ? reserve_ : pool_)->try_submit(std::move(task));
  }

  bool run_stream(std::function<void()> task) override {
    std::list<Stream> finished;
    const core::LockGuard lock(mutex_);
    for (auto at = streams_.begin(); at != streams_.end();) {
      const auto next = std::next(at);
      if (at->finished) finished.splice(finished.end(), streams_, at);
      at = next;
    }
    if (stopping_ || streams_.size() >= core_.config().max_streams) return false;
    Stream& stream = streams_.emplace_back();
    stream.thread = std::jthread([&stream, task = std::move(task)] {
      task();
      stream.finished = true;
    });
    return true;
  }

  void session_closed(Session& session) override {
    sessions_.erase(session.shared_from_this());
    core_.set_connections(sessions_.size());
    if (accept_paused_) accept();
    if (stopping_ && sessions_.empty()) {
      const core::LockGuard lock(mutex_);
      empty_ = true;
      changed_.notify_all();
    }
  }

 private:
  struct Stream {
    std::jthread thread;
    std::atomic<bool> finished = false;
  };

  void bind(const ListenAddress& address) {
    ErrorCode error;
    const tcp::endpoint endpoint(asio::ip::make_address(address.host, error), address.port);
    const std::string what = fmt::format("cannot listen on {}", format_address(address));
    check(error, what);
    acceptor_.open(endpoint.protocol(), error);
    check(error, what);
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    check(error, what);
    acceptor_.bind(endpoint, error);
    check(error, what);
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    check(error, what);
    port_ = acceptor_.local_endpoint(error).port();
    check(error, what);
  }

  void accept() {
    accept_paused_ = sessions_.size() >= core_.config().max_connections;
    if (accept_paused_ || stopping_) return;
    acceptor_.async_accept([this](const ErrorCode& error, tcp::socket socket) {
      if (stopping_) return;
      if (error) return accept_later(error);
      const auto session = std::make_shared<Session>(std::move(socket), tls_.get(), *this);
      sessions_.insert(session);
      core_.set_connections(sessions_.size());
      session->start();
      accept();
    });
  }

  // Mostly the limit of open files, which closing connections relieve.
  void accept_later(const ErrorCode& error) {
    core::log_warning("http.accept_failed", error.message());
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait([this](const ErrorCode& cancelled) {
      if (!cancelled) accept();
    });
  }

  void wind_down() {
    {
      const core::LockGuard lock(mutex_);
      empty_ = sessions_.empty();
      changed_.notify_all();
    }
    stopping_ = true;
    ErrorCode ignored;
    acceptor_.close(ignored);
    accept_timer_.cancel();
    const auto sessions = sessions_;  // closing one removes it
    for (const auto& session : sessions) session->wind_down();
  }

  void wait_until_empty(std::chrono::milliseconds grace) {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    const core::LockGuard lock(mutex_);
    while (!empty_) {
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left <= left.zero() || !changed_.wait_for(mutex_, left)) return;
    }
  }

  void join_streams() {
    std::list<Stream> streams;
    {
      const core::LockGuard lock(mutex_);
      streams.swap(streams_);
    }
  }

  ServerCore core_;
  const std::unique_ptr<asio::ssl::context> tls_;
  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  std::uint16_t port_ = 0;

  // Touched by the I/O thread only.
  std::set<std::shared_ptr<Session>> sessions_;
  bool stopping_ = false;
  bool accept_paused_ = false;

  core::Mutex mutex_;
  core::Condition changed_;
  bool empty_ GUARDED_BY(mutex_) = false;
  std::list<Stream> streams_ GUARDED_BY(mutex_);

  std::optional<WorkerPool> pool_;
  std::optional<WorkerPool> reserve_;
  std::jthread thread_;
};

Server::Server(ServerConfig config, Handler handler, ErrorRenderer renderer, core::Random& random,
               core::Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(handler), std::move(renderer), random, metrics)) {}
Server::~Server() = default;
void Server::start() { impl_->start(); }
void Server::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }
std::uint16_t Server::port() const { return impl_->port(); }
std::string Server::url() const { return impl_->url(); }

}  // namespace backstay::http
