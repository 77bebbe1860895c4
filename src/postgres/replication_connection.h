// A connection that speaks the streaming replication protocol.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

#include "core/bytes.h"
#include "core/time.h"
#include "postgres/connection.h"
#include "postgres/lsn.h"

namespace backstay::postgres {

struct SystemIdentity {
  std::uint64_t system_identifier = 0;
  TimelineId timeline;
  Lsn flushed;  ///< the end of what the server has flushed
};

/// A piece of WAL. `bytes` is valid until the next receive.
struct WalData {
  Lsn start;
  Lsn server_end;  ///< the server's end of WAL when it sent this
  core::Timestamp server_time;
  core::ByteSpan bytes;
};
/// The server has sent everything up to `server_end` when it says so.
struct Keepalive {
  Lsn server_end;
  core::Timestamp server_time;
  bool reply_requested = false;
};
/// The streamed timeline ended: the server moved to `next`, which begins at `begin`. A new start may follow.
struct EndOfTimeline {
  TimelineId next;
  Lsn begin;
};
/// Nothing arrived within the time.
struct NothingYet {};
/// The server shut down in good order: everything was sent.
struct StreamClosed {};
using StreamMessage = std::variant<NothingYet, WalData, Keepalive, EndOfTimeline, StreamClosed>;

/// Not thread-safe. Errors as those of Connection; wal_gap where the server no longer has the wanted WAL.
class ReplicationConnection {
 public:
  explicit ReplicationConnection(const ConnectionTarget& target, std::stop_token stop = {});
  ~ReplicationConnection();
  ReplicationConnection(ReplicationConnection&&) noexcept;
  ReplicationConnection& operator=(ReplicationConnection&&) noexcept;

  SystemIdentity identify_system();
  /// wal_segment_size of the server, in bytes.
  std::uint64_t segment_size();
  /// Makes a physical slot that keeps WAL from now on; a temporary one ends with this connection. False if a slot of
  /// this name exists already.
  bool create_physical_slot(const std::string& slot, bool temporary = false);
  /// The content of the timeline's history file.
  std::string timeline_history(TimelineId timeline);

  /// Starts to stream; `from` should be the start of a segment. An empty slot name streams without a slot.
  void start_streaming(const std::string& slot, Lsn from, TimelineId timeline);
  /// Waits at most `wait` for the next message; Error(cancelled) at a stop.
  StreamMessage receive(std::chrono::milliseconds wait);
  /// Tells the server what is written, flushed and applied; the slot keeps WAL from `flushed` on. Nothing is sent where
  /// the timeline has nothing left to stream: the next message is its end.
  void send_status(Lsn written, Lsn flushed, Lsn applied, core::Timestamp now, bool request_reply = false);
  /// Ends the streaming and leaves the connection usable for commands.
  void stop_streaming();

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

/// What pg_replication_slots says about a slot.
struct SlotState {
  bool active = false;
  std::optional<Lsn> restart_lsn;             ///< none: the slot keeps nothing (invalidated or never used)
  std::string wal_status;                     ///< reserved, extended, unreserved, lost; empty: none
  std::optional<std::int64_t> safe_wal_size;  ///< bytes until the slot loses WAL; none: no limit, or lost
};
std::optional<SlotState> read_slot(Connection& connection, const std::string& slot);
/// Drops the slot; false if there is none. A slot in use is first released by ending its sender.
bool drop_slot(Connection& connection, const std::string& slot);

}  // namespace backstay::postgres
