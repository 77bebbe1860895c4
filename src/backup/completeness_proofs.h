// What a server's keepalives prove about the archive of its WAL. No I/O.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "backup/recovery_window.h"
#include "core/time.h"
#include "postgres/lsn.h"
#include "postgres/replication_connection.h"

namespace backstay::backup {

/// A keepalive tells how far the server has *sent*, which proves something only if it had nothing left to send. It may
/// also have waited behind data in the server's output, and a commit is stamped before it is written: so its position
/// proves the archive complete up to the time of an answer that was received well before this one was asked for.
/// Not thread-safe.
class CompletenessProofs {
 public:
  /// The server said that it has flushed up to here.
  void note_flushed(postgres::Lsn lsn) { flushed_ = std::max(flushed_, lsn); }
  [[nodiscard]] postgres::Lsn flushed() const noexcept { return flushed_; }
  /// `received`: what came before this keepalive, of `timeline`.
  void note(const postgres::Keepalive& keepalive, postgres::TimelineId timeline, postgres::Lsn received);
  /// The last proof of those whose WAL ends at or before `stored`, once; nothing if there is no new one.
  std::optional<ArchiveEnd> take(postgres::Lsn stored);
  /// Another stream begins, or what it sends is not stored: nothing said so far proves anything about it.
  void forget();

 private:
  std::deque<ArchiveEnd> proofs_;
  std::deque<core::Timestamp> answers_;  // of a server that had sent everything
  postgres::Lsn flushed_;                // by the server, as far as this stream has told
};

}  // namespace backstay::backup
