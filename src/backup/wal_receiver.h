// The WAL receiver: one instance's companion that brings every byte of WAL into the store within seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "backup/recovery_window.h"
#include "core/time.h"
#include "postgres/connection.h"
#include "postgres/lsn.h"
#include "repository/repository.h"

namespace backstay::backup {

struct WalReceiverConfig {
  /// The instance's id, in the repository's keys.
  std::string instance = {};
  /// A role with REPLICATION, on the server's own socket.
  postgres::ConnectionTarget connection = {};
  /// The replication slot; made with its WAL reserved if it is not there.
  std::string slot = {};
  /// The slot ends with the connection, streaming begins at the server's present segment whatever the store holds, and
  /// the first error of the server ends run(): for a backup's own stream.
  bool temporary_slot = false;
  /// Part of every object's name, so that a receiver that lost its lease never overwrites its successor's objects.
  std::uint64_t lease_epoch = 1;
  /// Where segments are put together. Emptied at start: until a byte is in the store, the slot keeps it on the server,
  /// so nothing here is the only copy as long as the server's own disk lives. What stays is the map of changed pages of
  /// WAL that was let go, until the store has it.
  std::filesystem::path spool_directory = {};
  /// Segments in the spool before the receiver stops reading from the server.
  unsigned spool_segments = 8;
  /// How long a full spool keeps the stream waiting before it is ended until there is room: a sender that cannot send
  /// cannot be ended by its server either, which then could not take the slot's WAL when it needs the space.
  core::Duration full_spool_patience = std::chrono::seconds(5);
  /// How long new bytes may wait before they are uploaded as a tail object.
  core::Duration tail_interval = std::chrono::seconds(2);
  /// How often the proof that the archive is complete is written to the store while nothing else is.
  core::Duration window_end_interval = std::chrono::minutes(5);
  /// How long each upload is retried by the next one: back-off grows from the first to the second.
  core::Duration first_retry = std::chrono::seconds(1);
  core::Duration longest_retry = std::chrono::seconds(30);
  /// How long the end of run() waits for the store.
  core::Duration drain_time = std::chrono::seconds(10);
};

/// WAL that was acknowledged without being stored, because the store took nothing and the server could not keep more.
struct WalGap {
  postgres::Lsn from = {};
  /// How far it has got; the end once WAL is stored again.
  postgres::Lsn to = {};
  core::Timestamp since = {};
  bool open = true;
};

/// A snapshot of how the archive of one instance stands.
struct WalReceiverStatus {
  bool connected = false;
  postgres::TimelineId timeline = {};
  /// The end of what was received, and of what the store holds without a hole.
  postgres::Lsn received = {};
  postgres::Lsn stored = {};
  /// What would be lost if the server's disk were lost now, as far as the receiver knows: the server's WAL end at its
  /// last message minus `stored`, and for how long the oldest of it has waited.
  std::uint64_t bytes_at_risk = 0;
  core::Duration time_at_risk{};
  /// Complete up to this time of the server's clock, proven by its keepalives. Feed it to RecoveryWindow as live end.
  std::optional<ArchiveEnd> proven_end = {};
  /// Set while the store takes nothing: since when, and its last error.
  std::optional<core::Timestamp> store_away_since = {};
  std::optional<core::Timestamp> server_away_since = {};
  std::string last_error = {};
  /// Why only a new base backup opens the window again: WAL was lost before it was stored, or cannot be replayed
  /// elsewhere. Empty if it is open.
  std::string needs_base_backup = {};
  /// The last one, until a base backup begins behind it. What changed in it is in the map of changed pages.
  std::optional<WalGap> gap = {};
  std::uint64_t segments_stored = 0;
  std::uint64_t tails_stored = 0;
  /// Objects that tell which pages the WAL changed.
  std::uint64_t changes_stored = 0;
};

/// With the store away the spool fills, and then the server keeps the WAL, up to its max_slot_wal_keep_size. Shortly
/// before that the receiver lets WAL go: it goes on receiving, acknowledges without storing, and notes what changed; it
/// stores again, from the start of the segment that is filling then, as soon as the store takes something. Nothing is
/// acknowledged so before what it changed is on this disk: killed in between, the next receiver goes on from there.
class WalReceiver {
 public:
  WalReceiver(const Environment& environment, repository::Repository& repository, WalReceiverConfig config);
  ~WalReceiver();
  WalReceiver(const WalReceiver&) = delete;
  WalReceiver& operator=(const WalReceiver&) = delete;

  /// Receives until `stop`, then uploads what it holds (for as long as was configured) and returns. A server or a store
  /// that is away is retried with back-off for ever; what it means is in the status. Throws Error only for what a retry
  /// cannot mend: wrong_key, unsupported_format, and conflict if the server is not the instance's (another system id).
  void run(std::stop_token stop);

  /// Any thread, any time.
  [[nodiscard]] WalReceiverStatus status() const;

  /// Any thread. A base backup that begins here is stored: it serves all that was wanted for what came before.
  void note_base_backup(postgres::Lsn start);
  /// Any thread. What the newest one does not open needs another one: for what happened at `at`, unless the newest one
  /// began later.
  void want_base_backup(const std::string& reason, std::optional<postgres::Lsn> at = std::nullopt);

  /// Any thread, while another runs `run`: makes the receiver upload at once instead of at its next tail, and waits
  /// until the store holds all WAL before `lsn`. False if the deadline passed, `stop` was requested or `run` ended
  /// first.
  bool wait_until_stored(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop);

  /// Any thread, while another runs `run`: stores the map of changed pages of all records that begin before `lsn`, as
  /// far as this receiver has parsed them (see collect_page_changes). False if the deadline, the stop or the end of
  /// `run` came first, or the store failed; what it lacks is read from stored WAL. A stream with a temporary slot keeps
  /// no map.
  bool store_page_changes(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop);

  /// The same for everything that the server has written by now: what a recovery of a running source does first.
  /// Needs the server; with the server away it uploads what was received, and returns what is stored.
  bool send_all(core::Duration deadline, std::stop_token stop);

  /// The same until the archive is proven complete up to `time` of the server's clock, which takes a second or two for
  /// the present time. False if the deadline passed, `stop` was requested or the server is away.
  bool wait_until_proven(core::Timestamp time, core::Duration deadline, std::stop_token stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The value for max_slot_wal_keep_size in MiB: half of the free space in equal parts for the services on the disk,
/// each at least 512 MiB and at least four segments, so that a store that is away never fills the databases' disk.
/// `used_by_wal` is what their pg_wal directories occupy now.
std::uint64_t max_slot_wal_keep_mib(std::uint64_t free_bytes, std::uint64_t used_by_wal,
                                    std::uint64_t segment_size = postgres::kDefaultSegmentSize, unsigned services = 1);

}  // namespace backstay::backup
