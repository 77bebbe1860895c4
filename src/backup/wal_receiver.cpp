#include "backup/wal_receiver.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "backup/change_keeper.h"
#include "backup/previous_segment.h"
#include "backup/segment_indexer.h"
#include "backup/wal_uploader.h"
#include "core/error.h"
#include "core/log.h"
#include "core/mutex.h"
#include "os/file_system.h"
#include "postgres/replication_connection.h"
#include "postgres/timeline_history.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

constexpr auto kReceiveWait = std::chrono::milliseconds(100);
constexpr core::Duration kStatusInterval = std::chrono::seconds(1);
constexpr core::Duration kDrainTime = std::chrono::seconds(10);
constexpr core::Duration kLongestServerRetry = std::chrono::seconds(10);
constexpr core::Duration kFirstServerRetry = std::chrono::milliseconds(250);
constexpr std::size_t kProofsKept = 64;
constexpr core::Duration kProofMargin = std::chrono::seconds(1);
/// How often a server that keeps our WAL is asked how long it can, and how much before its limit is too near.
constexpr core::Duration kLimitLook = std::chrono::milliseconds(500);
constexpr std::uint64_t kSegmentsToLimit = 2;
constexpr mode_t kSpoolMode = 0700;
constexpr std::string_view kWalLost = "WAL was lost before it reached the store";
constexpr std::string_view kTablespaceMade = "a tablespace was created, whose creation cannot be replayed";

struct Position {
  postgres::TimelineId timeline;
  postgres::Lsn next;    // received up to here
  postgres::Lsn stored;  // known to be in the store at the beginning
};

bool is_fatal(core::Code code) {
  return code == core::Code::kConflict || code == core::Code::kWrongKey || code == core::Code::kUnsupportedFormat;
}

}  // namespace

class WalReceiver::Impl {
 public:
  Impl(const Environment& environment, repository::Repository& repository, WalReceiverConfig config)
      : environment_(environment), repository_(repository), config_(std::move(config)) {}

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
  std::optional<Position> stored_position();
  std::optional<postgres::Lsn> first_kept();
  void check_reach(const postgres::SystemIdentity& server, postgres::Lsn archived) const;
  void prime_indexer();
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
  void want_for_tablespace() REQUIRES(mutex_);
  void want(postgres::Lsn at, const std::string& reason) REQUIRES(mutex_);
  void begin_after_gap(const core::Error& error);
  void note_beginning_after_gap() EXCLUDES(mutex_);
  void wait_for_store(const std::stop_token& stop);
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

  // The running thread's own.
  std::optional<Position> position_;
  std::uint64_t known_server_ = 0;
  bool after_gap_ = false;
  bool letting_go_ = false;
  postgres::Lsn gone_from_;
  postgres::Lsn acknowledged_;  // never less than this again
  std::unique_ptr<SegmentIndexer> indexer_;
  std::deque<ArchiveEnd> proofs_;
  std::deque<core::Timestamp> answers_;  // of a server that had sent everything
  postgres::Lsn flushed_;                // by the server, as far as this stream has told
  bool asked_ = false;                   // for a keepalive that has not come yet
  core::SteadyTime last_report_;
  postgres::Lsn last_reported_;

  // Of the thread that writes the window's end, so that a slow store does not hold up the stream.
  core::SteadyTime marker_written_;
  postgres::Lsn marker_lsn_;
  core::SteadyTime marker_retry_;

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
  postgres::Lsn newest_backup_ GUARDED_BY(mutex_);
  postgres::Lsn newest_tablespace_ GUARDED_BY(mutex_);
  postgres::Lsn backup_wanted_for_ GUARDED_BY(mutex_);

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

void WalReceiver::Impl::run(const std::stop_token& stop) {
  const EndOfRun end{ended_};
  environment_.files.remove_all(config_.spool_directory);
  environment_.files.make_directories(config_.spool_directory, kSpoolMode);
  std::jthread marker([this](const std::stop_token& ended) { keep_window_end(ended); });
  core::Duration retry{};
  while (!stop.stop_requested()) {
    try {
      wait_for_store(stop);
      const auto before = uploader() ? uploader()->received() : postgres::Lsn{};
      session(stop);
      if (uploader()->received() > before) retry = {};
    } catch (...) {
      const core::Error error = core::as_error(std::current_exception());
      if (stop.stop_requested()) break;
      note_server_error(error);
      if (config_.temporary_slot || is_fatal(error.code())) throw error;
    }
    retry = std::clamp(retry * 2, kFirstServerRetry, kLongestServerRetry);
    environment_.clock.wait(stop, retry);
  }
  marker.request_stop();
  marker.join();
  if (!config_.temporary_slot) drain();
}

void WalReceiver::Impl::note_server_error(const core::Error& error) {
  const core::LockGuard lock(mutex_);
  status_.connected = false;
  if (!status_.server_away_since) {
    status_.server_away_since = environment_.clock.now();
    core::log_warning("wal.stream_lost", "the WAL stream ended; it is begun again",
                      {{"instance", config_.instance}, {"error", error.what()}});
  }
  status_.last_error = error.what();
}

void WalReceiver::Impl::session(const std::stop_token& stop) {
  postgres::ReplicationConnection connection(config_.connection, stop);
  // The slot comes first: from then on nothing that follows the server's present end can go.
  const bool slot_is_new = connection.create_physical_slot(config_.slot, config_.temporary_slot);
  if (slot_is_new) {
    core::log_info("wal.slot_created", "a replication slot was made",
                   {{"instance", config_.instance}, {"slot", config_.slot}});
  }
  const postgres::SystemIdentity server = connection.identify_system();
  check_server(server);
  open_archive(connection.segment_size());
  if (!position_) find_position(connection, server, slot_is_new);
  check_reach(server, position_->next);
  if (indexer_->position() && *indexer_->position() != position_->next) prime_indexer();
  try {
    connection.start_streaming(config_.slot, position_->next, position_->timeline);
    note_connected();
    stream(connection, stop);
  } catch (const core::Error& e) {
    if (e.code() == core::Code::kWalGap && !config_.temporary_slot) begin_after_gap(e);
    throw;
  }
}

void WalReceiver::Impl::check_reach(const postgres::SystemIdentity& server, postgres::Lsn archived) const {
  if (server.flushed >= archived) return;
  throw core::Error(
      core::Code::kConflict,
      fmt::format("the archive of instance '{}' reaches {}, but the server only {}: it is not the "
                  "server that wrote this archive, or an older copy of it",
                  config_.instance, postgres::format_lsn(archived), postgres::format_lsn(server.flushed)));
}

void WalReceiver::Impl::note_connected() {
  const core::LockGuard lock(mutex_);
  status_.connected = true;
  status_.server_away_since.reset();
  status_.last_error.clear();
  status_.timeline = position_->timeline;
  changed_.notify_all();
}

void WalReceiver::Impl::check_server(const postgres::SystemIdentity& server) {
  if (known_server_ == server.system_identifier) return;  // also while the store is away
  const auto instance = repository_.instance(config_.instance);
  if (!instance || instance->system_identifier == 0) return;
  if (instance->system_identifier == server.system_identifier) {
    known_server_ = server.system_identifier;
    return;
  }
  throw core::Error(core::Code::kConflict,
                    fmt::format("the server is cluster {}, but instance '{}' belongs to cluster {}",
                                server.system_identifier, config_.instance, instance->system_identifier));
}

void WalReceiver::Impl::open_archive(std::uint64_t segment_size) {
  if (wal()) return;
  WalUploaderConfig config;
  config.spool_directory = config_.spool_directory;
  config.spool_segments = config_.spool_segments;
  config.lease_epoch = config_.lease_epoch;
  config.tail_interval = config_.tail_interval;
  config.first_retry = config_.first_retry;
  config.longest_retry = config_.longest_retry;
  auto store = std::make_shared<repository::WalStore>(repository_, config_.instance, segment_size);
  auto uploader = std::make_shared<WalUploader>(environment_, *store, config);
  std::shared_ptr<ChangeKeeper> changes;
  if (!config_.temporary_slot) {
    changes =
        std::make_shared<ChangeKeeper>(environment_, repository_, config_.instance, segment_size, config_.lease_epoch);
  }
  const core::LockGuard lock(mutex_);
  wal_ = std::move(store);
  uploader_ = std::move(uploader);
  changes_ = std::move(changes);
}

std::optional<Position> WalReceiver::Impl::stored_position() {
  const auto store = wal();
  const std::uint64_t size = store->segment_size();
  const auto timelines = store->timelines();
  for (auto timeline = timelines.rbegin(); timeline != timelines.rend(); ++timeline) {
    const auto segments = store->list(*timeline);
    if (segments.empty()) continue;
    const auto& last = segments.back();
    const postgres::Lsn start = postgres::segment_start(last.segment, size);
    const std::uint64_t there = last.contiguous(size);
    return Position{.timeline = {*timeline}, .next = there == size ? start + size : start, .stored = start + there};
  }
  return std::nullopt;
}

/// Where the slot keeps WAL from: everything before it is stored, of what follows nothing is certain.
std::optional<postgres::Lsn> WalReceiver::Impl::first_kept() {
  if (config_.temporary_slot) return std::nullopt;
  postgres::Connection connection(config_.connection);
  const auto slot = postgres::read_slot(connection, config_.slot);
  return slot ? slot->restart_lsn : std::nullopt;
}

/// Segments are stored out of order, and a backup may store some on its own, so the last one in the store says nothing
/// about those before it. The slot does; what is sent twice is stored once.
void WalReceiver::Impl::find_position(postgres::ReplicationConnection& connection,
                                      const postgres::SystemIdentity& server, bool slot_is_new) {
  const std::uint64_t size = wal()->segment_size();
  const std::optional<postgres::Lsn> kept = first_kept();
  std::optional<Position> position;
  if (!config_.temporary_slot && !after_gap_) position = stored_position();
  if (position) check_reach(server, position->next);
  if (!position) {
    const postgres::Lsn from = kept ? std::min(*kept, server.flushed) : server.flushed;
    const postgres::Lsn start = postgres::segment_start(postgres::segment_of(from, size), size);
    position = Position{.timeline = server.timeline, .next = start, .stored = start};
  } else if (kept && !slot_is_new && *kept < position->next) {
    if (position->timeline.value > 1) {
      const auto history = postgres::parse_timeline_history(connection.timeline_history(position->timeline));
      position->timeline = postgres::timeline_at(history, position->timeline, *kept);
    }
    position->next = postgres::segment_start(postgres::segment_of(*kept, size), size);
    position->stored = position->next;
  }
  store_history(connection, server.timeline);
  position_ = position;
  prime_indexer();
  uploader()->begin(position->timeline, position->next, position->stored);
  if (after_gap_) note_beginning_after_gap();
}

/// A record that began in the segment before must be known when its end arrives.
void WalReceiver::Impl::prime_indexer() {
  const auto store = wal();
  const auto keeper = changes();
  indexer_ = std::make_unique<SegmentIndexer>(store->segment_size(), keeper ? &keeper->tracker() : nullptr);
  const std::uint64_t size = store->segment_size();
  const postgres::SegmentNumber segment = postgres::segment_of(position_->next, size);
  if (const auto before = read_previous_segment(*store, {position_->timeline, segment})) {
    indexer_->feed(position_->timeline, postgres::segment_start(segment - 1, size), *before);
  }
  const core::ByteSpan here = uploader()->filled_part();
  if (!here.empty()) indexer_->feed(position_->timeline, postgres::segment_start(segment, size), here);
}

void WalReceiver::Impl::store_history(postgres::ReplicationConnection& connection, postgres::TimelineId timeline) {
  if (timeline.value < 2 || wal()->get_history(timeline.value)) return;
  wal()->put_history(timeline.value, core::as_bytes(connection.timeline_history(timeline)));
}

/// The next session begins at the segment that the server then fills; between lies the gap.
void WalReceiver::Impl::begin_after_gap(const core::Error& error) {
  core::log_error(
      "wal.gap", "the server no longer has WAL that was not stored yet; a new base backup is needed",
      {{"instance", config_.instance}, {"from", postgres::format_lsn(position_->next)}, {"error", error.what()}});
  uploader()->end();
  postgres::Connection connection(config_.connection);
  postgres::drop_slot(connection, config_.slot);
  position_.reset();
  letting_go_ = false;
  acknowledged_ = {};
  after_gap_ = true;
  forget_proofs();
  want_base_backup(std::nullopt, std::string(kWalLost));
  const core::LockGuard lock(mutex_);
  status_.proven_end.reset();
}

/// A base backup that began before is of no use, however late it is stored.
void WalReceiver::Impl::note_beginning_after_gap() {
  want_base_backup(position_->next, std::string(kWalLost));
  const core::LockGuard lock(mutex_);
  if (!status_.gap || !status_.gap->open) return;
  status_.gap->to = position_->next;
  status_.gap->open = false;
}

/// With a full spool nothing is received, until there is room or the server can keep no more.
void WalReceiver::Impl::wait_for_store(const std::stop_token& stop) {
  if (!uploader() || letting_go_) return;
  core::SteadyTime look = environment_.clock.steady_now();
  while (!stop.stop_requested() && !uploader()->wait_for_room(kReceiveWait)) {
    if (config_.temporary_slot || environment_.clock.steady_now() < look) continue;
    if (position_ && is_at_limit()) return let_go();
    look = environment_.clock.steady_now() + kLimitLook;
  }
}

bool WalReceiver::Impl::is_at_limit() const {
  postgres::Connection connection(config_.connection);
  const auto slot = postgres::read_slot(connection, config_.slot);
  if (!slot || !slot->restart_lsn || !slot->safe_wal_size) return false;
  return *slot->safe_wal_size < static_cast<std::int64_t>(kSegmentsToLimit * wal()->segment_size());
}

void WalReceiver::Impl::let_go() {
  const postgres::Lsn from = position_->next;
  const std::string lsn = postgres::format_lsn(from);
  core::log_error("wal.let_go",
                  "the store takes nothing and the server can keep no more: WAL is not stored from now on",
                  {{"instance", config_.instance}, {"from", lsn}});
  letting_go_ = true;
  gone_from_ = from;
  uploader()->end();
  forget_proofs();
  want_base_backup(from, fmt::format("the store took nothing and the disk's share for WAL is used up: the WAL from {} "
                                     "on was not stored",
                                     lsn));
  const core::LockGuard lock(mutex_);
  status_.gap = WalGap{.from = from, .to = from, .since = environment_.clock.now()};
}

/// Nothing is kept of it but what it changed.
void WalReceiver::Impl::let_go(core::ByteSpan bytes) {
  while (!bytes.empty()) {
    const std::uint64_t size = wal()->segment_size();
    const std::uint64_t room = size - postgres::segment_offset(position_->next, size);
    const core::ByteSpan piece = bytes.first(std::min<std::uint64_t>(room, bytes.size()));
    indexer_->feed(position_->timeline, position_->next, piece);
    position_->next += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  acknowledged_ = position_->next;
  const core::LockGuard lock(mutex_);
  status_.gap->to = position_->next;
}

/// Storing begins at the start of a segment that is not in the spool already. A record that crosses it must have been
/// parsed, or the map would lack it.
bool WalReceiver::Impl::may_store_again() const {
  const std::uint64_t size = wal()->segment_size();
  const postgres::Lsn start = postgres::segment_start(postgres::segment_of(position_->next, size), size);
  const auto parsed = changes()->tracker().reached();
  return start >= gone_from_ && parsed && *parsed > start && uploader()->wait_for_room({});
}

/// The server has the segment that is filling, however far its slot has got.
void WalReceiver::Impl::store_again() {
  const std::uint64_t size = wal()->segment_size();
  const postgres::Lsn end = position_->next;
  const postgres::Lsn start = postgres::segment_start(postgres::segment_of(end, size), size);
  core::log_warning("wal.stored_again", "the store is back; WAL is stored again",
                    {{"instance", config_.instance}, {"from", postgres::format_lsn(start)}});
  letting_go_ = false;
  position_ = Position{.timeline = position_->timeline, .next = start, .stored = start};
  forget_proofs();
  indexer_->restart();
  uploader()->begin(position_->timeline, start, start);
  std::string reason;
  {
    const core::LockGuard lock(mutex_);
    status_.gap->to = start;
    status_.gap->open = false;
    reason = fmt::format("the store took nothing: the WAL from {} to {} was not stored",
                         postgres::format_lsn(status_.gap->from), postgres::format_lsn(start));
  }
  want_base_backup(start, reason);
}

void WalReceiver::Impl::note_base_backup(postgres::Lsn start) {
  const core::LockGuard lock(mutex_);
  if (status_.gap && !status_.gap->open && start >= status_.gap->to) status_.gap.reset();
  newest_backup_ = std::max(newest_backup_, start);
  if (newest_backup_ >= backup_wanted_for_) status_.needs_base_backup.clear();
  want_for_tablespace();
}

void WalReceiver::Impl::want_base_backup(std::optional<postgres::Lsn> lsn, const std::string& reason) {
  const core::LockGuard lock(mutex_);
  want(lsn.value_or(newest_backup_ + 1), reason);
}

void WalReceiver::Impl::want(postgres::Lsn at, const std::string& reason) {
  if (at <= newest_backup_) return;
  backup_wanted_for_ = std::max(backup_wanted_for_, at);
  status_.needs_base_backup = reason;
}

void WalReceiver::Impl::note_tablespace(postgres::Lsn lsn) {
  const core::LockGuard lock(mutex_);
  newest_tablespace_ = std::max(newest_tablespace_, lsn);
  want_for_tablespace();
}

/// Without a backup there is no window that could close; but one that began before may be told of later.
void WalReceiver::Impl::want_for_tablespace() {
  if (newest_backup_ == postgres::Lsn{} || newest_tablespace_ <= backup_wanted_for_) return;
  want(newest_tablespace_, std::string(kTablespaceMade));
}

void WalReceiver::Impl::stream(postgres::ReplicationConnection& connection, const std::stop_token& stop) {
  const auto keeper = changes();
  forget_proofs();
  report(connection, true);
  while (!stop.stop_requested()) {
    if (letting_go_ && may_store_again()) return store_again();
    if (!letting_go_ && !wait_for_room(connection, stop)) return;
    const postgres::StreamMessage message = connection.receive(kReceiveWait);
    if (const auto* data = std::get_if<postgres::WalData>(&message)) take(*data);
    if (const auto* keepalive = std::get_if<postgres::Keepalive>(&message)) {
      take(*keepalive);
      if (keepalive->reply_requested) report(connection, true);
    }
    if (const auto* end = std::get_if<postgres::EndOfTimeline>(&message)) return follow(connection, *end);
    if (std::holds_alternative<postgres::StreamClosed>(message)) {
      throw core::Error(core::Code::kDatabaseUnavailable, "the server shut down");
    }
    if (keeper) keeper->look();
    report(connection, false);
  }
}

/// With a full spool nothing is read: the server keeps the rest, held by the slot. It must still hear from us. False if
/// the stream is to end.
bool WalReceiver::Impl::wait_for_room(postgres::ReplicationConnection& connection, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + config_.full_spool_patience;
  while (!stop.stop_requested() && !uploader()->wait_for_room(kReceiveWait)) {
    report(connection, false);
    if (config_.temporary_slot || environment_.clock.steady_now() < end) continue;
    core::log_info("wal.spool_full", "the WAL stream is ended until there is room in the spool again",
                   {{"instance", config_.instance}});
    const core::LockGuard lock(mutex_);
    status_.connected = false;
    return false;
  }
  return true;
}

void WalReceiver::Impl::take(const postgres::WalData& data) {
  const auto sink = uploader();
  const std::uint64_t size = wal()->segment_size();
  if (data.start != position_->next) {
    throw core::Error(core::Code::kDatabaseError,
                      fmt::format("the server sent WAL from {} instead of {}", postgres::format_lsn(data.start),
                                  postgres::format_lsn(position_->next)));
  }
  core::ByteSpan bytes = data.bytes;
  if (letting_go_) {
    let_go(bytes);
    bytes = {};
  }
  while (!bytes.empty()) {
    const std::uint64_t room = size - postgres::segment_offset(position_->next, size);
    const core::ByteSpan piece = bytes.first(std::min<std::uint64_t>(room, bytes.size()));
    // What could not be written must not be in the index either.
    std::vector<std::uint64_t> tablespaces;
    sink->append(piece, [&] {
      auto index = indexer_->feed(position_->timeline, position_->next, piece);
      tablespaces = index.tablespaces;
      return index;
    });
    if (!tablespaces.empty()) note_tablespace(postgres::Lsn{tablespaces.back()});
    position_->next += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  flushed_ = std::max(flushed_, data.server_end);
  const core::SteadyTime now = environment_.clock.steady_now();
  const core::LockGuard lock(mutex_);
  last_bytes_ = now;
  server_end_ = std::max({server_end_, flushed_, position_->next});
}

/// A keepalive tells how far the server has *sent*, which proves something only if it had nothing left to send. It may
/// also have waited behind data in the server's output, and a commit is stamped before it is written: so its position
/// proves the archive complete up to the time of an answer that was received well before this one was asked for.
void WalReceiver::Impl::take(const postgres::Keepalive& keepalive) {
  if (!keepalive.reply_requested) asked_ = false;
  if (!letting_go_ && keepalive.server_end >= flushed_ && keepalive.server_end <= position_->next) {
    if (!answers_.empty() && keepalive.server_time < answers_.back()) answers_.clear();
    answers_.push_back(keepalive.server_time);
    const core::Timestamp latest = keepalive.server_time - kProofMargin;
    while (answers_.size() > 1 && answers_[1] <= latest) answers_.pop_front();
    if (answers_.front() <= latest) {
      if (proofs_.size() == kProofsKept) proofs_.pop_back();
      proofs_.push_back({position_->timeline, keepalive.server_end, answers_.front()});
    }
  }
  const core::LockGuard lock(mutex_);
  server_end_ = std::max({server_end_, keepalive.server_end, position_->next});
}

void WalReceiver::Impl::forget_proofs() {
  proofs_.clear();
  answers_.clear();
  flushed_ = {};
  asked_ = false;
}

void WalReceiver::Impl::follow(postgres::ReplicationConnection& connection, const postgres::EndOfTimeline& end) {
  const auto sink = uploader();
  const std::uint64_t size = wal()->segment_size();
  store_history(connection, end.next);
  sink->end();
  const postgres::Lsn start = postgres::segment_start(postgres::segment_of(end.begin, size), size);
  core::log_info("wal.timeline", "the server follows another timeline",
                 {{"instance", config_.instance}, {"timeline", std::to_string(end.next.value)}});
  position_ = Position{.timeline = end.next, .next = start, .stored = start};
  forget_proofs();
  prime_indexer();
  sink->begin(end.next, start, start);
}

void WalReceiver::Impl::report(postgres::ReplicationConnection& connection, bool at_once) {
  const auto sink = uploader();
  prove(sink->stored());
  const postgres::Lsn stored = std::max(sink->stored(), acknowledged_);
  const core::SteadyTime now = environment_.clock.steady_now();
  bool hurry = false;
  {
    const core::LockGuard lock(mutex_);
    hurry = waiting_for_proof_ > 0;
  }
  const bool due = now - last_report_ >= (hurry ? core::Duration(kReceiveWait) : kStatusInterval);
  if (!at_once && !due && stored == last_reported_) return;
  // One question at a time: the answers prove how far the archive is complete.
  const bool ask = (due || at_once) && !asked_;
  connection.send_status(position_->next, stored, stored, environment_.clock.now(), ask);
  if (ask) asked_ = true;
  last_reported_ = stored;
  if (due) last_report_ = now;
}

void WalReceiver::Impl::prove(postgres::Lsn stored) {
  const core::LockGuard lock(mutex_);
  while (!proofs_.empty() && proofs_.front().lsn <= stored) {
    status_.proven_end = proofs_.front();
    proofs_.pop_front();
    changed_.notify_all();
  }
}

void WalReceiver::Impl::keep_window_end(const std::stop_token& stop) {
  while (environment_.clock.wait(stop, kReceiveWait)) {
    put_window_end(false);
    if (const auto keeper = changes()) keeper->put(false);
  }
}

void WalReceiver::Impl::put_window_end(bool at_once) {
  std::optional<ArchiveEnd> end;
  core::SteadyTime last_bytes;
  {
    const core::LockGuard lock(mutex_);
    end = status_.proven_end;
    last_bytes = last_bytes_;
  }
  const core::SteadyTime now = environment_.clock.steady_now();
  if (!end || now < marker_retry_) return;
  // Soon after the last bytes of a busy time, then now and then.
  const bool settled =
      end->lsn > marker_lsn_ && end->lsn == uploader()->received() && now - last_bytes >= 2 * config_.tail_interval;
  if (!at_once && !settled && now - marker_written_ < config_.window_end_interval) return;
  try {
    wal()->put_window_end(end->timeline.value, {.time = end->time, .lsn = end->lsn.value});
    marker_lsn_ = end->lsn;
    marker_written_ = now;
  } catch (const std::exception& e) {
    core::log_debug("wal.window_end_not_stored", e.what(), {{"instance", config_.instance}});
    marker_retry_ = now + config_.longest_retry;
  }
}

void WalReceiver::Impl::drain() {
  const auto sink = uploader();
  if (!sink || !position_) return;
  sink->wait_until_stored(sink->received(), kDrainTime, {});
  prove(sink->stored());
  put_window_end(true);
  const auto keeper = changes();
  if (!keeper || sink->status().store_away_since) return;
  keeper->cut();
  keeper->put(true);
}

WalReceiverStatus WalReceiver::Impl::status() const {
  const auto sink = uploader();
  const core::LockGuard lock(mutex_);
  WalReceiverStatus status = status_;
  if (!sink) return status;
  const WalUploaderStatus uploads = sink->status();
  status.received = uploads.received;
  status.stored = uploads.stored;
  status.store_away_since = uploads.store_away_since;
  if (uploads.store_away_since) status.last_error = uploads.last_error;
  status.segments_stored = uploads.segments_stored;
  status.tails_stored = uploads.tails_stored;
  if (changes_) status.changes_stored = changes_->stored();
  // What was let go cannot be lost any more.
  const bool let_go = status.gap && status.gap->open;
  const postgres::Lsn end = let_go ? uploads.received : std::max(server_end_, uploads.received);
  status.bytes_at_risk = end > uploads.stored ? end - uploads.stored : 0;
  if (uploads.waiting_since) {
    status.time_at_risk =
        std::chrono::duration_cast<core::Duration>(environment_.clock.steady_now() - *uploads.waiting_since);
  }
  return status;
}

bool WalReceiver::Impl::wait_until_stored(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  std::stop_source either;
  const auto give_up = [&either] { either.request_stop(); };
  const std::stop_callback asked(stop, give_up);
  const std::stop_callback over(ended_.get_token(), give_up);
  auto sink = uploader();
  for (; !sink; sink = uploader()) {
    if (either.stop_requested() || environment_.clock.steady_now() >= end) return false;
    environment_.clock.wait(either.get_token(), kReceiveWait);
  }
  const auto left = std::chrono::duration_cast<core::Duration>(end - environment_.clock.steady_now());
  return sink->wait_until_stored(lsn, left, either.get_token()) || sink->stored() >= lsn;
}

bool WalReceiver::Impl::store_page_changes(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop) {
  std::stop_source either;
  const auto give_up = [&either] { either.request_stop(); };
  const std::stop_callback asked(stop, give_up);
  const std::stop_callback over(ended_.get_token(), give_up);
  const auto keeper = changes();
  return keeper && keeper->store(lsn, deadline, either.get_token());
}

/// What a stream says of the server's end may be old; the server itself knows.
postgres::Lsn WalReceiver::Impl::ask_server_end(const std::stop_token& stop) const {
  try {
    postgres::Connection connection(config_.connection, stop);
    const auto rows = connection.query(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END");
    return rows.is_null(0, 0) ? postgres::Lsn{} : postgres::parse_lsn(rows.text(0, 0));
  } catch (const core::Error& e) {
    core::log_warning("wal.server_end_unknown", "the server could not be asked for the end of its WAL",
                      {{"instance", config_.instance}, {"error", e.what()}});
    return {};
  }
}

bool WalReceiver::Impl::send_all(core::Duration deadline, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  const auto sink = uploader();
  if (!sink) return false;
  const postgres::Lsn lsn = std::max(status().connected ? ask_server_end(stop) : postgres::Lsn{}, sink->received());
  return wait_until_stored(lsn, std::chrono::duration_cast<core::Duration>(end - environment_.clock.steady_now()),
                           stop);
}

bool WalReceiver::Impl::wait_until_proven(core::Timestamp time, core::Duration deadline, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  const auto sink = uploader();
  if (!sink) return false;
  const core::LockGuard lock(mutex_);
  ++waiting_for_proof_;
  bool proven = false;
  while (true) {
    proven = status_.proven_end && status_.proven_end->time >= time;
    if (proven || stop.stop_requested() || !status_.connected || environment_.clock.steady_now() >= end) break;
    sink->want(server_end_);
    changed_.wait_for(mutex_, std::chrono::milliseconds(kReceiveWait));
  }
  --waiting_for_proof_;
  return proven;
}

WalReceiver::WalReceiver(const Environment& environment, repository::Repository& repository, WalReceiverConfig config)
    : impl_(std::make_unique<Impl>(environment, repository, std::move(config))) {}
WalReceiver::~WalReceiver() = default;
void WalReceiver::run(std::stop_token stop) { impl_->run(stop); }
WalReceiverStatus WalReceiver::status() const { return impl_->status(); }
void WalReceiver::note_base_backup(postgres::Lsn start) { impl_->note_base_backup(start); }
void WalReceiver::want_base_backup(const std::string& reason, std::optional<postgres::Lsn> at) {
  impl_->want_base_backup(at, reason);
}
bool WalReceiver::wait_until_stored(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop) {
  return impl_->wait_until_stored(lsn, deadline, stop);
}
bool WalReceiver::store_page_changes(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop) {
  return impl_->store_page_changes(lsn, deadline, stop);
}
bool WalReceiver::send_all(core::Duration deadline, std::stop_token stop) { return impl_->send_all(deadline, stop); }
bool WalReceiver::wait_until_proven(core::Timestamp time, core::Duration deadline, std::stop_token stop) {
  return impl_->wait_until_proven(time, deadline, stop);
}

std::uint64_t max_slot_wal_keep_mib(std::uint64_t free_bytes, std::uint64_t used_by_wal, std::uint64_t segment_size,
                                    unsigned services) {
  constexpr std::uint64_t kMib = 1U << 20;
  return std::max({std::uint64_t{512}, 4 * segment_size / kMib, (free_bytes + used_by_wal) / 2 / services / kMib});
}

}  // namespace backstay::backup
