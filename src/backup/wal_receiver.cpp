#include "backup/wal_receiver.h"

#include <algorithm>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "backup/segment_indexer.h"
#include "backup/wal_uploader.h"
#include "core/error.h"
#include "core/log.h"
#include "core/mutex.h"
#include "os/file_system.h"
#include "postgres/replication_connection.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

constexpr auto kReceiveWait = std::chrono::milliseconds(100);
constexpr core::Duration kStatusInterval = std::chrono::seconds(1);
constexpr core::Duration kDrainTime = std::chrono::seconds(10);
constexpr core::Duration kLongestServerRetry = std::chrono::seconds(10);
constexpr core::Duration kFirstServerRetry = std::chrono::milliseconds(250);
constexpr std::size_t kProofsKept = 64;
constexpr mode_t kSpoolMode = 0700;

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
  bool wait_until_stored(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop);
  bool send_all(core::Duration deadline, const std::stop_token& stop);

 private:
  void session(const std::stop_token& stop);
  void check_server(const postgres::SystemIdentity& server);
  void open_archive(std::uint64_t segment_size);
  void find_position(postgres::ReplicationConnection& connection, const postgres::SystemIdentity& server);
  std::optional<Position> stored_position();
  postgres::Lsn first_kept(const postgres::SystemIdentity& server);
  void prime_indexer();
  void store_history(postgres::ReplicationConnection& connection, postgres::TimelineId timeline);
  void stream(postgres::ReplicationConnection& connection, const std::stop_token& stop);
  void wait_for_room(postgres::ReplicationConnection& connection, const std::stop_token& stop);
  void take(const postgres::WalData& data);
  void take(const postgres::Keepalive& keepalive);
  void follow(postgres::ReplicationConnection& connection, const postgres::EndOfTimeline& end);
  void report(postgres::ReplicationConnection& connection, bool at_once);
  void prove(postgres::Lsn stored) EXCLUDES(mutex_);
  void put_window_end(bool at_once);
  void note_connected() EXCLUDES(mutex_);
  void begin_after_gap(const core::Error& error);
  void drain();
  void note_server_error(const core::Error& error) EXCLUDES(mutex_);

  const Environment environment_;
  repository::Repository& repository_;
  const WalReceiverConfig config_;

  // The running thread's own.
  std::optional<Position> position_;
  bool after_gap_ = false;
  std::unique_ptr<SegmentIndexer> indexer_;
  std::deque<ArchiveEnd> proofs_;
  core::SteadyTime last_report_;
  postgres::Lsn last_reported_;
  core::SteadyTime last_bytes_;
  core::SteadyTime marker_written_;
  postgres::Lsn marker_lsn_;
  core::SteadyTime marker_retry_;

  mutable core::Mutex mutex_;
  mutable core::Condition changed_;
  std::shared_ptr<repository::WalStore> wal_ GUARDED_BY(mutex_);
  /// Shared with those who ask, while the running thread may replace it.
  std::shared_ptr<WalUploader> uploader_ GUARDED_BY(mutex_);
  WalReceiverStatus status_ GUARDED_BY(mutex_);
  postgres::Lsn server_end_ GUARDED_BY(mutex_);
  /// Keepalives that `send_all` still waits for.
  unsigned probes_ GUARDED_BY(mutex_) = 0;

  std::shared_ptr<WalUploader> uploader() const EXCLUDES(mutex_) {
    const core::LockGuard lock(mutex_);
    return uploader_;
  }
  std::shared_ptr<repository::WalStore> wal() const EXCLUDES(mutex_) {
    const core::LockGuard lock(mutex_);
    return wal_;
  }
};

void WalReceiver::Impl::run(const std::stop_token& stop) {
  environment_.files.remove_all(config_.spool_directory);
  environment_.files.make_directories(config_.spool_directory, kSpoolMode);
  core::Duration retry{};
  while (!stop.stop_requested()) {
    try {
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
  if (connection.create_physical_slot(config_.slot, config_.temporary_slot)) {
    core::log_info("wal.slot_created", "a replication slot was made",
                   {{"instance", config_.instance}, {"slot", config_.slot}});
  }
  const postgres::SystemIdentity server = connection.identify_system();
  check_server(server);
  open_archive(connection.segment_size());
  if (!position_) find_position(connection, server);
  if (server.flushed < position_->next) {
    throw core::Error(
        core::Code::kConflict,
        fmt::format("the archive of instance '{}' reaches {}, but the server only {}: it is not the "
                    "server that wrote this archive, or an older copy of it",
                    config_.instance, postgres::format_lsn(position_->next), postgres::format_lsn(server.flushed)));
  }
  try {
    connection.start_streaming(config_.slot, position_->next, position_->timeline);
    note_connected();
    stream(connection, stop);
  } catch (const core::Error& e) {
    if (e.code() == core::Code::kWalGap && !config_.temporary_slot) begin_after_gap(e);
    throw;
  }
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
  const auto instance = repository_.instance(config_.instance);
  if (!instance || instance->system_identifier == 0 || instance->system_identifier == server.system_identifier) return;
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
  const core::LockGuard lock(mutex_);
  wal_ = std::move(store);
  uploader_ = std::move(uploader);
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

/// Where the slot keeps WAL from; one that was made long ago has more than the server's present segment.
postgres::Lsn WalReceiver::Impl::first_kept(const postgres::SystemIdentity& server) {
  if (config_.temporary_slot) return server.flushed;
  postgres::Connection connection(config_.connection);
  const auto slot = postgres::read_slot(connection, config_.slot);
  return slot && slot->restart_lsn ? std::min(*slot->restart_lsn, server.flushed) : server.flushed;
}

void WalReceiver::Impl::find_position(postgres::ReplicationConnection& connection,
                                      const postgres::SystemIdentity& server) {
  const std::uint64_t size = wal()->segment_size();
  std::optional<Position> position;
  if (!config_.temporary_slot && !after_gap_) position = stored_position();
  if (!position) {
    const postgres::Lsn start = postgres::segment_start(postgres::segment_of(first_kept(server), size), size);
    position = Position{.timeline = server.timeline, .next = start, .stored = start};
  }
  store_history(connection, server.timeline);
  position_ = position;
  prime_indexer();
  uploader()->begin(position->timeline, position->next, position->stored);
}

/// A record that began in the segment before must be known when its end arrives.
void WalReceiver::Impl::prime_indexer() {
  const auto store = wal();
  indexer_ = std::make_unique<SegmentIndexer>(store->segment_size());
  const postgres::SegmentNumber segment = postgres::segment_of(position_->next, store->segment_size());
  if (segment == 0) return;
  const auto before = store->read_segment(position_->timeline.value, segment - 1);
  if (before && before->complete) {
    indexer_->feed(position_->timeline, postgres::segment_start(segment - 1, store->segment_size()), before->bytes);
  }
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
  after_gap_ = true;
  proofs_.clear();
  const core::LockGuard lock(mutex_);
  status_.needs_base_backup = true;
  status_.proven_end.reset();
}

void WalReceiver::Impl::stream(postgres::ReplicationConnection& connection, const std::stop_token& stop) {
  report(connection, true);
  while (!stop.stop_requested()) {
    wait_for_room(connection, stop);
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
    report(connection, false);
    put_window_end(false);
  }
}

/// With a full spool nothing is read: the server keeps the rest, held by the slot. It must still hear from us.
void WalReceiver::Impl::wait_for_room(postgres::ReplicationConnection& connection, const std::stop_token& stop) {
  while (!stop.stop_requested() && !uploader()->wait_for_room(kReceiveWait)) report(connection, false);
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
  while (!bytes.empty()) {
    const std::uint64_t room = size - postgres::segment_offset(position_->next, size);
    const core::ByteSpan piece = bytes.first(std::min<std::uint64_t>(room, bytes.size()));
    sink->append(piece, indexer_->feed(position_->timeline, position_->next, piece));
    position_->next += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  last_bytes_ = environment_.clock.steady_now();
  const core::LockGuard lock(mutex_);
  server_end_ = std::max(data.server_end, position_->next);
}

void WalReceiver::Impl::take(const postgres::Keepalive& keepalive) {
  if (keepalive.server_end <= position_->next) {
    if (proofs_.size() == kProofsKept) proofs_.pop_back();
    proofs_.push_back({position_->timeline, keepalive.server_end, keepalive.server_time});
  }
  const core::LockGuard lock(mutex_);
  server_end_ = std::max(keepalive.server_end, position_->next);
  if (probes_ > 0) --probes_;
  changed_.notify_all();
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
  proofs_.clear();
  prime_indexer();
  sink->begin(end.next, start, start);
}

void WalReceiver::Impl::report(postgres::ReplicationConnection& connection, bool at_once) {
  const auto sink = uploader();
  const postgres::Lsn stored = sink->stored();
  prove(stored);
  const core::SteadyTime now = environment_.clock.steady_now();
  bool probing = false;
  {
    const core::LockGuard lock(mutex_);
    probing = probes_ > 0;
  }
  const bool due = now - last_report_ >= (probing ? core::Duration(kReceiveWait) : kStatusInterval);
  if (!at_once && !due && stored == last_reported_) return;
  // Each answer proves how far the archive is complete.
  connection.send_status(position_->next, stored, stored, environment_.clock.now(), due || at_once);
  last_reported_ = stored;
  if (due) last_report_ = now;
}

void WalReceiver::Impl::prove(postgres::Lsn stored) {
  const core::LockGuard lock(mutex_);
  while (!proofs_.empty() && proofs_.front().lsn <= stored) {
    status_.proven_end = proofs_.front();
    proofs_.pop_front();
  }
}

void WalReceiver::Impl::put_window_end(bool at_once) {
  std::optional<ArchiveEnd> end;
  {
    const core::LockGuard lock(mutex_);
    end = status_.proven_end;
  }
  const core::SteadyTime now = environment_.clock.steady_now();
  if (!end || now < marker_retry_) return;
  // Soon after the last bytes of a busy time, then now and then.
  const bool settled =
      end->lsn > marker_lsn_ && end->lsn == position_->next && now - last_bytes_ >= 2 * config_.tail_interval;
  if (!at_once && !settled && now - marker_written_ < config_.window_end_interval) return;
  try {
    wal()->put_window_end(end->timeline.value, {.time = end->time, .lsn = end->lsn.value});
    marker_lsn_ = end->lsn;
    marker_written_ = now;
  } catch (const core::Error& e) {
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
  const postgres::Lsn end = std::max(server_end_, uploads.received);
  status.bytes_at_risk = end > uploads.stored ? end - uploads.stored : 0;
  if (uploads.waiting_since) {
    status.time_at_risk =
        std::chrono::duration_cast<core::Duration>(environment_.clock.steady_now() - *uploads.waiting_since);
  }
  return status;
}

bool WalReceiver::Impl::wait_until_stored(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  while (!stop.stop_requested() && environment_.clock.steady_now() < end) {
    const auto sink = uploader();
    if (sink) {
      return sink->wait_until_stored(
          lsn, std::chrono::duration_cast<core::Duration>(end - environment_.clock.steady_now()), stop);
    }
    environment_.clock.wait(stop, kReceiveWait);
  }
  return false;
}

bool WalReceiver::Impl::send_all(core::Duration deadline, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  postgres::Lsn lsn;
  {
    const core::LockGuard lock(mutex_);
    // The first answer may have been under way before the question.
    probes_ = 2;
    while (probes_ > 0 && status_.connected && !stop.stop_requested() && environment_.clock.steady_now() < end) {
      changed_.wait_for(mutex_, std::chrono::milliseconds(kReceiveWait));
    }
    probes_ = 0;
    lsn = status_.connected ? server_end_ : postgres::Lsn{};
  }
  const auto sink = uploader();
  if (!sink) return false;
  lsn = std::max(lsn, sink->received());
  return wait_until_stored(lsn, std::chrono::duration_cast<core::Duration>(end - environment_.clock.steady_now()),
                           stop);
}

WalReceiver::WalReceiver(const Environment& environment, repository::Repository& repository, WalReceiverConfig config)
    : impl_(std::make_unique<Impl>(environment, repository, std::move(config))) {}
WalReceiver::~WalReceiver() = default;
void WalReceiver::run(std::stop_token stop) { impl_->run(stop); }
WalReceiverStatus WalReceiver::status() const { return impl_->status(); }
bool WalReceiver::wait_until_stored(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop) {
  return impl_->wait_until_stored(lsn, deadline, stop);
}
bool WalReceiver::send_all(core::Duration deadline, std::stop_token stop) { return impl_->send_all(deadline, stop); }

std::uint64_t max_slot_wal_keep_mib(std::uint64_t free_bytes, std::uint64_t used_by_wal) {
  constexpr std::uint64_t kMib = 1U << 20;
  return std::max<std::uint64_t>(512, (free_bytes + used_by_wal) / 2 / kMib);
}

}  // namespace backstay::backup
