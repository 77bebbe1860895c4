#include "backup/wal_receiver.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "backup/wal_receiver_impl.h"
#include "core/error.h"
#include "core/log.h"
#include "os/file_system.h"

namespace backstay::backup {
namespace {

constexpr core::Duration kStatusInterval = std::chrono::seconds(1);
constexpr core::Duration kLongestServerRetry = std::chrono::seconds(10);
constexpr core::Duration kFirstServerRetry = std::chrono::milliseconds(250);
constexpr mode_t kSpoolMode = 0700;

bool is_fatal(core::Code code) {
  return code == core::Code::kConflict || code == core::Code::kWrongKey || code == core::Code::kUnsupportedFormat;
}

}  // namespace

void WalReceiver::Impl::run(const std::stop_token& stop) {
  const EndOfRun end{ended_};
  gap_map_.clean_directory();
  environment_.files.make_directories(config_.spool_directory, kSpoolMode);
  load_gap(stop);
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
  if (!position_ && !resume_after_gap(connection, server, slot_is_new)) find_position(connection, server, slot_is_new);
  check_reach(server, position_->next);
  if (indexer_->position() && *indexer_->position() != position_->next) {
    prime_indexer(*position_, uploader()->filled_part());
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

void WalReceiver::Impl::note_base_backup(postgres::Lsn start) {
  const core::LockGuard lock(mutex_);
  if (status_.gap && !status_.gap->open && start >= status_.gap->to) status_.gap.reset();
  wanted_.note_base_backup(start);
}

void WalReceiver::Impl::want_base_backup(std::optional<postgres::Lsn> lsn, const std::string& reason) {
  const core::LockGuard lock(mutex_);
  wanted_.want(reason, lsn);
}

void WalReceiver::Impl::note_tablespace(postgres::Lsn lsn) {
  const core::LockGuard lock(mutex_);
  wanted_.note_tablespace(lsn);
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
      // A server that shuts down waits until all is acknowledged.
      if (keepalive->reply_requested && letting_go_ && acknowledged_ < position_->next) keep_gap_map();
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
  proofs_.note_flushed(data.server_end);
  const core::SteadyTime now = environment_.clock.steady_now();
  const core::LockGuard lock(mutex_);
  last_bytes_ = now;
  server_end_ = std::max({server_end_, proofs_.flushed(), position_->next});
}

void WalReceiver::Impl::take(const postgres::Keepalive& keepalive) {
  if (!keepalive.reply_requested) asked_ = false;
  if (!letting_go_) proofs_.note(keepalive, position_->timeline, position_->next);
  const core::LockGuard lock(mutex_);
  server_end_ = std::max({server_end_, keepalive.server_end, position_->next});
}

void WalReceiver::Impl::forget_proofs() {
  proofs_.forget();
  asked_ = false;
}

/// What the store may refuse comes first: until then the stream is at the end of the old timeline, and comes here
/// again.
void WalReceiver::Impl::follow(postgres::ReplicationConnection& connection, const postgres::EndOfTimeline& end) {
  const auto sink = uploader();
  const StreamPosition position = segment_position(end.next, end.begin, wal()->segment_size());
  store_history(connection, end.next);
  prime_indexer(position, {});
  sink->end();
  core::log_info("wal.timeline", "the server follows another timeline",
                 {{"instance", config_.instance}, {"timeline", std::to_string(end.next.value)}});
  position_ = position;
  forget_proofs();
  sink->begin(position.timeline, position.next, position.stored);
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
  const auto proven = proofs_.take(stored);
  if (!proven) return;
  const core::LockGuard lock(mutex_);
  status_.proven_end = proven;
  changed_.notify_all();
}

void WalReceiver::Impl::keep_window_end(const std::stop_token& stop) {
  while (environment_.clock.wait(stop, kReceiveWait)) {
    put_window_end(false);
    const auto keeper = changes();
    if (keeper && keeper->put(false)) gap_map_.look(*keeper);
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
  if (end) marker_.look(*wal(), *end, uploader()->received(), last_bytes, environment_.clock.steady_now(), at_once);
}

void WalReceiver::Impl::drain() {
  const auto sink = uploader();
  if (!sink || !position_) return;
  sink->wait_until_stored(sink->received(), config_.drain_time, {});
  prove(sink->stored());
  put_window_end(true);
  const auto keeper = changes();
  if (!keeper || sink->status().store_away_since) return;
  keeper->cut();
  if (keeper->put(true)) gap_map_.look(*keeper);
}

WalReceiverStatus WalReceiver::Impl::status() const {
  const auto sink = uploader();
  const core::LockGuard lock(mutex_);
  WalReceiverStatus status = status_;
  status.needs_base_backup = wanted_.reason();
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
