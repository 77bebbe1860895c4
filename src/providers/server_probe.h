// Asks running servers whether they answer, each over one session that stays open: a new session a second would cost
// the server a process each, and fill its log.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/mutex.h"
#include "os/process.h"
#include "postgres/connection.h"
#include "postgres/server.h"

namespace backstay::providers {

/// Thread-safe.
class ServerProbe {
 public:
  /// Throws what the session throws if the server, which runs as `process`, does not answer within seconds; the next
  /// call then opens a new one. Returns the bytes that its databases take if they are to be measured.
  std::optional<std::uint64_t> ask(const postgres::Server& server, os::ProcessId process, bool measure);
  /// Closes the session of a server that does not run any more.
  void forget(const std::string& name);

 private:
  struct Session {
    os::ProcessId process;
    postgres::Connection connection;
  };
  std::optional<Session> take(const std::string& name);

  core::Mutex mutex_;
  /// By the server's name; not here while it is used.
  std::map<std::string, Session> idle_ GUARDED_BY(mutex_);
};

}  // namespace backstay::providers
