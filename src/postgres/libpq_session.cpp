#include "postgres/libpq_session.h"

#include <array>
#include <cerrno>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;

constexpr std::uint64_t kMostReceived = 64 << 20;

std::string one_line(const char* text) {
  std::string result(core::trim(text == nullptr ? "" : text));
  for (auto& c : result) {
    if (c == '\n') c = ' ';
  }
  return result;
}

std::string describe(const ConnectionTarget& target) {
  const auto where = target.socket_directory.empty() ? fmt::format("{}:{}", target.host, target.port)
                                                     : (target.socket_directory / socket_name(target.port)).string();
  return fmt::format("PostgreSQL at '{}', database '{}', user '{}'", where, target.database, target.user);
}

/// Refused by the server's rules rather than not reachable. libpq gives no SQLSTATE for a failed connection, and our
/// servers speak English.
bool is_refusal(const std::string& message) {
  for (const auto* part : {"authentication failed", "does not exist", "no pg_hba.conf entry", "pg_hba.conf rejects",
                           "is not permitted to log in", "no password supplied", "permission denied for database"}) {
    if (message.find(part) != std::string::npos && message.find("No such file") == std::string::npos) return true;
  }
  return false;
}

Code code_of(const std::string& state, const std::string& message) {
  if (state == "53100") return Code::kDiskFull;
  // Shutdown, crash recovery, too many connections, too little memory: the same may succeed later.
  if (state.starts_with("57P0") || state.starts_with("53")) return Code::kDatabaseUnavailable;
  // A lock was waited for too long, or the statement was ended.
  if (state == "55P03" || state == "57014") return Code::kTimeout;
  const bool removed = message.find("has already been removed") != std::string::npos;
  const bool invalidated = message.find("can no longer") != std::string::npos;
  if ((state == "58P01" && removed) || (state == "55000" && invalidated)) return Code::kWalGap;
  return Code::kDatabaseError;
}

}  // namespace

std::string sqlstate_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? "" : state;
}

LibpqSession::LibpqSession(const ConnectionTarget& target, bool replication, std::stop_token stop)
    : stop_(std::move(stop)), stop_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), name_(describe(target)) {
  if (!stop_event_.valid()) throw core::system_error("cannot make an event descriptor", errno);
  if (!target.socket_directory.empty()) directory_.emplace(target.socket_directory);
  try {
    connect(target, replication);
  } catch (...) {
    PQfinish(connection_);
    throw;
  }
}

LibpqSession::~LibpqSession() { PQfinish(connection_); }

core::SteadyTime LibpqSession::after(std::chrono::milliseconds time) { return core::SystemClock().steady_now() + time; }

void LibpqSession::connect(const ConnectionTarget& target, bool replication) {
  const bool local = directory_.has_value();
  std::vector<std::pair<const char*, std::string>> options = {
      {"host", local ? directory_->path().string() : target.host},
      {"port", std::to_string(target.port)},
      {"user", target.user},
      {"password", target.password.reveal()},
      {"dbname", replication ? "replication" : target.database},
      {"application_name", target.application_name},
      {"client_encoding", "UTF8"},
      {"passfile", "/dev/null/none"},
      {"sslmode", local                     ? "disable"
                  : target.ssl_mode.empty() ? "require"
                                            : target.ssl_mode},
      {"gssencmode", "disable"},
  };
  if (replication) options.emplace_back("replication", "true");
  if (!target.options.empty()) options.emplace_back("options", target.options);
  if (!target.ssl_root_cert.empty()) options.emplace_back("sslrootcert", target.ssl_root_cert.string());
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : options) {
    keys.push_back(key);
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectStartParams(keys.data(), values.data(), 0);
  // The password is wiped here as far as it is ours; libpq keeps its own copy.
  for (auto& [key, value] : options) {
    if (std::string_view(key) == "password") std::fill(value.begin(), value.end(), '\0');
  }
  if (connection_ == nullptr) throw std::bad_alloc();
  // Before the first word: it would be the password.
  if (target.server_user && PQstatus(connection_) != CONNECTION_BAD) check_server_user(*target.server_user);
  finish_connecting(target, after(target.connect_deadline));
}

void LibpqSession::check_server_user(uid_t expected) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(PQsocket(connection_), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    throw core::system_error("cannot ask who is at the other end of a socket", errno);
  }
  if (peer.uid == expected) return;
  throw Error(Code::kDatabaseUnavailable, fmt::format("{} is of the user {} instead of {}", name_, peer.uid, expected));
}

void LibpqSession::finish_connecting(const ConnectionTarget& target, core::SteadyTime deadline) {
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK && PQstatus(connection_) != CONNECTION_BAD) {
    if (!wait(status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      throw Error(Code::kDatabaseUnavailable,
                  fmt::format("{} did not answer within {}", name_, core::format_duration(target.connect_deadline)));
    }
    count_input();
    status = PQconnectPoll(connection_);
    if (status == PGRES_POLLING_FAILED) break;
  }
  if (PQstatus(connection_) != CONNECTION_OK) {
    const auto message = one_line(PQerrorMessage(connection_));
    throw Error(is_refusal(message) ? Code::kDatabaseError : Code::kDatabaseUnavailable,
                fmt::format("cannot connect to {}: {}", name_, message));
  }
  PQsetnonblocking(connection_, 1);
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
}

bool LibpqSession::wait(short events, core::SteadyTime deadline) {
  const auto wake = [fd = stop_event_.get()] {
    const std::uint64_t one = 1;
    // The counter can only be full if it was written before, and then poll wakes anyway.
    (void)!::write(fd, &one, sizeof one);
  };
  const std::stop_callback on_stop(stop_, wake);
  while (true) {
    if (stop_.stop_requested()) throw Error(Code::kCancelled, fmt::format("waiting for {} was cancelled", name_));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - core::SystemClock().steady_now()).count();
    if (left < 0) return false;
    std::array<pollfd, 2> polled{pollfd{PQsocket(connection_), events, 0}, pollfd{stop_event_.get(), POLLIN, 0}};
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) throw core::system_error("cannot poll", errno);
    if (ready > 0 && polled[0].revents != 0) return true;
    if (ready == 0 && left == 0) return false;
  }
}

void LibpqSession::flush(core::SteadyTime deadline) {
  while (true) {
    const int pending = PQflush(connection_);
    if (pending == 0) return;
    if (pending < 0) throw_lost();
    if (!wait(POLLIN | POLLOUT, deadline)) abandon();
    count_input();
    if (PQconsumeInput(connection_) == 0) throw_lost();
  }
}

void LibpqSession::count_input() {
  int waiting = 0;
  if (PQsocket(connection_) < 0) return;
  if (::ioctl(PQsocket(connection_), FIONREAD, &waiting) != 0)
    throw core::system_error("cannot look at a socket", errno);
  received_ += static_cast<std::uint64_t>(waiting);
  if (received_ <= kMostReceived) return;
  PQfinish(connection_);
  connection_ = nullptr;
  throw Error(Code::kDatabaseError, fmt::format("{} answers more than {}", name_, core::format_bytes(kMostReceived)));
}

ResultPointer LibpqSession::next_result(core::SteadyTime deadline) {
  received_ = 0;
  flush(deadline);
  while (PQisBusy(connection_) != 0) {
    if (!wait(POLLIN, deadline)) abandon();
    count_input();
    if (PQconsumeInput(connection_) == 0) throw_lost();
  }
  return ResultPointer(PQgetResult(connection_));
}

ResultPointer LibpqSession::run(const std::string& command, std::chrono::milliseconds time) {
  auto result = run_unchecked(command, time);
  check(result);
  return result;
}

ResultPointer LibpqSession::run_unchecked(const std::string& command, std::chrono::milliseconds time) {
  const auto deadline = after(time);
  if (PQsendQuery(connection_, command.c_str()) == 0) throw_lost();
  auto first = next_result(deadline);
  if (!first) throw_lost();
  const auto status = PQresultStatus(first.get());
  if (status == PGRES_COPY_BOTH || status == PGRES_COPY_OUT || status == PGRES_COPY_IN) return first;
  while (auto more = next_result(deadline)) {
    // Only the first result is of interest; an error after it is not lost.
    if (PQresultStatus(more.get()) == PGRES_FATAL_ERROR) check(more);
  }
  return first;
}

void LibpqSession::check(const ResultPointer& result) const {
  if (!result) throw_lost();
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) return;
  const auto state = sqlstate_of(result.get());
  const char* primary = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
  if (state.empty() && PQstatus(connection_) == CONNECTION_BAD) throw_lost();
  auto message = primary == nullptr ? one_line(PQresultErrorMessage(result.get())) : one_line(primary);
  if (const char* detail = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_DETAIL)) {
    message += "; " + one_line(detail);
  }
  throw Error(code_of(state, message), fmt::format("{} (SQLSTATE {})", message, state));
}

void LibpqSession::throw_lost() const {
  throw Error(Code::kDatabaseUnavailable,
              fmt::format("lost the connection to {}: {}", name_, one_line(PQerrorMessage(connection_))));
}

void LibpqSession::abandon() {
  // A cancel request is a blocking call of its own: only where the server is on this machine. Others notice that the
  // client is gone (client_connection_check_interval).
  if (directory_) {
    if (PGcancel* cancel = PQgetCancel(connection_)) {
      std::array<char, 256> error{};
      PQcancel(cancel, error.data(), static_cast<int>(error.size()));
      PQfreeCancel(cancel);
    }
  }
  PQfinish(connection_);
  connection_ = nullptr;
  throw Error(Code::kTimeout, fmt::format("{} did not finish a statement within its deadline", name_));
}

}  // namespace backstay::postgres
