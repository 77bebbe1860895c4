#include "backup/recovery_wal_server.h"

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "backup/wal_prefetcher.h"
#include "core/error.h"
#include "core/mutex.h"
#include "os/file.h"
#include "os/file_system.h"
#include "postgres/socket_path.h"

namespace backstay::backup {
namespace {

constexpr int kPollMilliseconds = 100;
constexpr core::Duration kRequestDeadline = std::chrono::seconds(10);
/// Below the helper's own patience, so that it hears our reason.
constexpr core::Duration kFetchDeadline = std::chrono::seconds(240);
constexpr std::size_t kLongestRequest = 256;
constexpr mode_t kDirectoryMode = 0700;

bool wait_readable(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, kPollMilliseconds) > 0;
}

}  // namespace

class RecoveryWalServer::Impl {
 public:
  Impl(const Environment& environment, repository::Repository& repository, RecoveryWalServerConfig config)
      : environment_(environment), config_(std::move(config)), prefetcher_(prepare(), repository, config_) {
    listen();
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }

  std::uint64_t bytes_served() const { return prefetcher_.bytes_served(); }
  std::optional<core::Error> last_error() const {
    const core::LockGuard lock(mutex_);
    return last_error_;
  }

 private:
  const Environment& prepare();
  void listen();
  void serve(const std::stop_token& stop);
  void answer(const os::Descriptor& client, const std::stop_token& stop);
  std::optional<std::string> read_request(int fd, const std::stop_token& stop);
  std::string reply(const std::string& name, const std::stop_token& stop);

  const Environment environment_;
  const RecoveryWalServerConfig config_;
  WalPrefetcher prefetcher_;
  os::Descriptor listener_;
  mutable core::Mutex mutex_;
  std::optional<core::Error> last_error_ GUARDED_BY(mutex_);
  std::jthread thread_;
};

/// An empty directory for the segments: what an earlier attempt left is of no use.
const Environment& RecoveryWalServer::Impl::prepare() {
  auto& files = environment_.files;
  const auto wal = config_.directory / "wal";
  files.remove_all(wal);
  files.make_directories(wal, kDirectoryMode);
  if (config_.identity) {
    files.set_owner(config_.directory, config_.identity->uid, config_.identity->gid);
    files.set_owner(wal, config_.identity->uid, config_.identity->gid);
  }
  return environment_;
}

void RecoveryWalServer::Impl::listen() {
  const postgres::SocketDirectory directory(config_.directory);
  const auto path = directory.path() / "fetch.sock";
  environment_.files.remove(config_.directory / "fetch.sock");
  listener_ = os::Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (!listener_.valid() || bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 8) != 0) {
    throw core::system_error(fmt::format("cannot listen on '{}'", path.string()), errno);
  }
  // Nobody else can enter the directory, so the socket's mode is of no interest.
  if (config_.identity) {
    environment_.files.set_owner(config_.directory / "fetch.sock", config_.identity->uid, config_.identity->gid);
  }
}

void RecoveryWalServer::Impl::serve(const std::stop_token& stop) {
  // Wakes the wait below.
  const std::stop_callback wake(stop, [this] { shutdown(listener_.get(), SHUT_RDWR); });
  while (!stop.stop_requested()) {
    if (!wait_readable(listener_.get())) continue;
    const os::Descriptor client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.valid()) answer(client, stop);
  }
}

void RecoveryWalServer::Impl::answer(const os::Descriptor& client, const std::stop_token& stop) {
  const auto name = read_request(client.get(), stop);
  if (!name) return;
  const std::string text = reply(*name, stop);
  // A helper that went away has nobody to tell.
  [[maybe_unused]] const ssize_t sent = send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

std::optional<std::string> RecoveryWalServer::Impl::read_request(int fd, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + kRequestDeadline;
  std::string request;
  while (!stop.stop_requested() && environment_.clock.steady_now() < end && request.size() < kLongestRequest) {
    if (!wait_readable(fd)) continue;
    char buffer[kLongestRequest];
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) return std::nullopt;
    request.append(buffer, static_cast<std::size_t>(got));
    if (const auto end_of_line = request.find('\n'); end_of_line != std::string::npos) {
      return request.substr(0, end_of_line);
    }
  }
  return std::nullopt;
}

std::string RecoveryWalServer::Impl::reply(const std::string& name, const std::stop_token& stop) {
  FetchAnswer answer;
  try {
    answer = prefetcher_.fetch(name, kFetchDeadline, stop);
  } catch (const std::exception& e) {
    answer.error = e.what();
  }
  if (answer.kind == FetchAnswer::Kind::kReady) return "ready\n";
  if (answer.kind == FetchAnswer::Kind::kMissing) return "missing\n";
  const core::LockGuard lock(mutex_);
  last_error_.emplace(answer.code, answer.error);
  return "error " + answer.error + "\n";
}

RecoveryWalServer::RecoveryWalServer(const Environment& environment, repository::Repository& repository,
                                     RecoveryWalServerConfig config)
    : impl_(std::make_unique<Impl>(environment, repository, std::move(config))) {}
RecoveryWalServer::~RecoveryWalServer() = default;
std::uint64_t RecoveryWalServer::bytes_served() const { return impl_->bytes_served(); }
std::optional<core::Error> RecoveryWalServer::last_error() const { return impl_->last_error(); }

}  // namespace backstay::backup
