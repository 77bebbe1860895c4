// The session that brackets a physical backup.
#pragma once

#include <chrono>
#include <string>

#include "postgres/connection.h"
#include "postgres/lsn.h"

namespace backstay::postgres {

struct BackupStart {
  Lsn lsn;  ///< WAL is needed from here
  TimelineId timeline;
};
struct BackupStop {
  Lsn lsn;  ///< WAL is needed up to here
  TimelineId timeline;
  std::string backup_label;    ///< becomes the file backup_label
  std::string tablespace_map;  ///< becomes the file tablespace_map, unless empty
};

/// PostgreSQL's backup mode lives and dies with the session: destroyed between start and stop, the backup is aborted
/// on the server. Works with 13 and later.
class BackupSession {
 public:
  explicit BackupSession(Connection connection);

  /// Waits for a checkpoint, made at once if `fast`.
  BackupStart start(const std::string& label, bool fast = true,
                    std::chrono::milliseconds deadline = std::chrono::minutes(30));
  /// Does not wait for archiving: the caller makes sure that the WAL from start to stop is stored.
  BackupStop stop(std::chrono::milliseconds deadline = std::chrono::minutes(5));

  /// The session's connection, for questions in between.
  Connection& connection() { return connection_; }

 private:
  Connection connection_;
  bool started_ = false;
};

}  // namespace backstay::postgres
