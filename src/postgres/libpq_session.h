// What Connection and ReplicationConnection share: libpq without blocking calls, under a deadline and a stop token.
// Internal to this folder.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <libpq-fe.h>

#include "core/time.h"
#include "os/file.h"
#include "postgres/connection.h"
#include "postgres/socket_path.h"

namespace backstay::postgres {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPointer = std::unique_ptr<PGresult, ClearResult>;

/// Empty where there is none.
std::string sqlstate_of(const PGresult* result);

class LibpqSession {
 public:
  /// Connects, or throws.
  LibpqSession(const ConnectionTarget& target, bool replication, std::stop_token stop);
  ~LibpqSession();
  LibpqSession(const LibpqSession&) = delete;
  LibpqSession& operator=(const LibpqSession&) = delete;

  [[nodiscard]] PGconn* get() const { return connection_; }

  /// Sends what is buffered.
  void flush(core::SteadyTime deadline);
  /// The next result of the running command, null when it has ended. libpq keeps it whole in memory: one of more than
  /// 64 MiB ends the connection with Error(database_error), as the server may be its tenant's own.
  ResultPointer next_result(core::SteadyTime deadline);
  /// One simple-protocol command; the first result, errors thrown, the rest drained.
  ResultPointer run(const std::string& command, std::chrono::milliseconds time);
  /// The same, without throwing for an error that the server reports.
  ResultPointer run_unchecked(const std::string& command, std::chrono::milliseconds time);
  /// Waits for `events` of the socket; false at the deadline. Throws Error(cancelled) at a stop.
  bool wait(short events, core::SteadyTime deadline);

  /// Throws if the result is an error.
  void check(const ResultPointer& result) const;
  /// The connection's last error as a loss of the connection.
  [[noreturn]] void throw_lost() const;
  /// Gives the running statement up.
  [[noreturn]] void abandon();

  [[nodiscard]] static core::SteadyTime after(std::chrono::milliseconds time);

 private:
  void connect(const ConnectionTarget& target, bool replication);
  void check_server_user(uid_t expected) const;
  void finish_connecting(const ConnectionTarget& target, core::SteadyTime deadline);
  /// Counts what waits in the socket as received.
  void count_input();

  std::stop_token stop_;
  os::Descriptor stop_event_;
  std::optional<SocketDirectory> directory_;
  PGconn* connection_ = nullptr;
  std::uint64_t received_ = 0;  // since the connecting, or the result before
  std::string name_;
};

}  // namespace backstay::postgres
