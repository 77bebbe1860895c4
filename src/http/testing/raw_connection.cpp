#include "http/testing/raw_connection.h"

#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace backstay::http::testing {

RawConnection::RawConnection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

RawConnection::~RawConnection() { ::close(fd_); }

bool RawConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawConnection::read_until(std::string_view text) {
  std::string seen;
  while (seen.find(text) == std::string::npos && read_some(seen)) {
  }
  return seen;
}

std::string RawConnection::read_all() {
  std::string seen;
  while (read_some(seen)) {
  }
  return timed_out_ ? seen + "(still open)" : seen;
}

bool RawConnection::read_some(std::string& into) {
  pollfd poll{.fd = fd_, .events = POLLIN, .revents = 0};
  timed_out_ = ::poll(&poll, 1, 10'000) == 0;
  if (timed_out_) return false;
  std::array<char, 16384> buffer{};
  const auto count = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (count <= 0) return false;
  into.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

}  // namespace backstay::http::testing
