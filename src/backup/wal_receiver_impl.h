// The running part of a WalReceiver, of which one thread calls run(). For wal_receiver*.cpp alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "backup/change_keeper.h"
#include "backup/completeness_proofs.h"
#include "backup/gap_map.h"
#include "backup/segment_indexer.h"
#include "backup/stream_position.h"
#include "backup/wal_receiver.h"
#include "backup/wal_uploader.h"
#include "backup/wanted_backup.h"
#include "backup/window_end_marker.h"
#include "core/mutex.h"
#include "postgres/replication_connection.h"
#include "repository/wal_store.h"

namespace backstay::backup {

inline constexpr auto kReceiveWait = std::chrono::milliseconds(100);

/// The timeline from which `newest` has `lsn`.
postgres::TimelineId branch_at(postgres::ReplicationConnection& connection, postgres::TimelineId newest,
                               postgres::Lsn lsn);

class WalReceiver::Impl {
 public:
  Impl(const Environment& environment, repository::Repository& repository, WalReceiverConfig config)
      : environment_(environment),
        repository_(repository),
        config_(std::move(config)),
        gap_map_(environment, config_.spool_directory),
        marker_({.instance = config_.instance,
                 .interval = config_.window_end_interval,
                 .settled_after = 2 * config_.tail_interval,
                 .retry = config_.longest_retry}) {}

  void run(const std::stop_token& stop);
  WalReceiverStatus status() const;
  void note_base_backup(postgres::Lsn start);
  /// For what happened at `lsn`, unless the newest one began later.
  void want_base_backup(std::optional<postgres::Lsn> lsn, const std::string& reason);
  bool wait_until_stored(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop);
  bool store_page_changes(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop);
  bool send_all(core::Duration deadline, const std::stop_token& stop);
  bool wait_until_proven(core::Timestamp time, core::Duration deadline, const std::stop_token& stop);

 private:
  void session(const std::stop_token& stop);
  void check_server(const postgres::SystemIdentity& server);
  void open_archive(std::uint64_t segment_size);
  void find_position(postgres::ReplicationConnection& connection, const postgres::SystemIdentity& server,
                     bool slot_is_new);
  std::optional<postgres::Lsn> first_kept();
  void check_reach(const postgres::SystemIdentity& server, postgres::Lsn archived) const;
  void check_reach(const postgres::SystemIdentity& server, const StreamPosition& stored) const;
  void prime_indexer(const StreamPosition& position, core::ByteSpan filled);
  void store_history(postgres::ReplicationConnection& connection, postgres::TimelineId timeline);
  void stream(postgres::ReplicationConnection& connection, const std::stop_token& stop);
  bool wait_for_room(postgres::ReplicationConnection& connection, const std::stop_token& stop);
  void take(const postgres::WalData& data);
  void take(const postgres::Keepalive& keepalive);
  void forget_proofs();
  postgres::Lsn ask_server_end(const std::stop_token& stop) const;
  void follow(postgres::ReplicationConnection& connection, const postgres::EndOfTimeline& end);
  void report(postgres::ReplicationConnection& connection, bool at_once);
  void prove(postgres::Lsn stored) EXCLUDES(mutex_);
  void keep_window_end(const std::stop_token& stop);
  void put_window_end(bool at_once);
  void note_connected() EXCLUDES(mutex_);
  void note_tablespace(postgres::Lsn lsn) EXCLUDES(mutex_);
  void begin_after_gap(const core::Error& error);
  void note_beginning_after_gap() EXCLUDES(mutex_);
  void wait_for_store(const std::stop_token& stop);
  bool resume_after_gap(postgres::ReplicationConnection& connection, const postgres::SystemIdentity& server,
                        bool slot_is_new);
  void check_archive_reach(const postgres::SystemIdentity& server);
  void note_gap_before(postgres::Lsn start, postgres::Lsn from, core::Timestamp since) EXCLUDES(mutex_);
  void load_gap(const std::stop_token& stop);
  void keep_gap_map();
  bool is_at_limit() const;
  void let_go();
  void let_go(core::ByteSpan bytes);
  bool may_store_again() const;
  void store_again();
  void drain();
  void note_server_error(const core::Error& error) EXCLUDES(mutex_);

  const Environment environment_;
  repository::Repository& repository_;
  const WalReceiverConfig config_;
  GapMap gap_map_;

  // The running thread's own.
  std::optional<StreamPosition> position_;
  std::uint64_t known_server_ = 0;
  bool after_gap_ = false;
  bool letting_go_ = false;
  postgres::Lsn gone_from_;
  /// What a receiver before this one has left.
  std::optional<GapRecord> left_;
  postgres::Lsn acknowledged_;  // never less than this again
  std::unique_ptr<SegmentIndexer> indexer_;
  CompletenessProofs proofs_;
  bool asked_ = false;  // for a keepalive that has not come yet
  core::SteadyTime last_report_;
  postgres::Lsn last_reported_;

  // Of the thread that writes the window's end, so that a slow store does not hold up the stream.
  WindowEndMarker marker_;

  /// Nobody waits for what a receiver that has ended did not store.
  struct EndOfRun {
    explicit EndOfRun(std::stop_source& source) : ended(source) {}
    ~EndOfRun() { ended.request_stop(); }
    EndOfRun(const EndOfRun&) = delete;
    EndOfRun& operator=(const EndOfRun&) = delete;
    std::stop_source& ended;
  };
  std::stop_source ended_;

  mutable core::Mutex mutex_;
  mutable core::Condition changed_;
  std::shared_ptr<repository::WalStore> wal_ GUARDED_BY(mutex_);
  /// Shared with those who ask, while the running thread may replace it.
  std::shared_ptr<WalUploader> uploader_ GUARDED_BY(mutex_);
  /// None for a stream with a temporary slot.
  std::shared_ptr<ChangeKeeper> changes_ GUARDED_BY(mutex_);
  WalReceiverStatus status_ GUARDED_BY(mutex_);
  postgres::Lsn server_end_ GUARDED_BY(mutex_);
  core::SteadyTime last_bytes_ GUARDED_BY(mutex_);
  unsigned waiting_for_proof_ GUARDED_BY(mutex_) = 0;
  WantedBackup wanted_ GUARDED_BY(mutex_);

  std::shared_ptr<WalUploader> uploader() const EXCLUDES(mutex_) {
    const core::LockGuard lock(mutex_);
    return uploader_;
  }
  std::shared_ptr<ChangeKeeper> changes() const EXCLUDES(mutex_) {
    const core::LockGuard lock(mutex_);
    return changes_;
  }
  std::shared_ptr<repository::WalStore> wal() const EXCLUDES(mutex_) {
    const core::LockGuard lock(mutex_);
    return wal_;
  }
};

}  // namespace backstay::backup
