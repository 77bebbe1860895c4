// WAL that was not stored: let go because the store took nothing, or gone from the server.
#include <algorithm>

#include <fmt/format.h>

#include "backup/wal_receiver_impl.h"
#include "core/error.h"
#include "core/log.h"

namespace backstay::backup {
namespace {

/// How often a server that keeps our WAL is asked how long it can, and how much before its limit is too near.
constexpr core::Duration kLimitLook = std::chrono::milliseconds(500);
constexpr std::uint64_t kSegmentsToLimit = 2;
constexpr int kGapReads = 10;
constexpr std::string_view kWalLost = "WAL was lost before it reached the store";

}  // namespace

/// The next session begins at the segment that the server then fills; between lies the gap.
void WalReceiver::Impl::begin_after_gap(const core::Error& error) {
  core::log_error(
      "wal.gap", "the server no longer has WAL that was not stored yet; a new base backup is needed",
      {{"instance", config_.instance}, {"from", postgres::format_lsn(position_->next)}, {"error", error.what()}});
  uploader()->end();
  postgres::Connection connection(config_.connection);
  postgres::drop_slot(connection, config_.slot);
  // Nobody is to resume here: what the file tells of goes into the store, and then the file goes.
  changes()->cut();
  gap_map_.close(position_->next);
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

/// The server has everything from what was acknowledged on, or from where its slot is; the store need not be there. Any
/// record that crosses the beginning is in the map, or in the store. False if no receiver was killed in a gap, or if
/// the slot, or the server to another timeline, has gone since.
bool WalReceiver::Impl::resume_after_gap(postgres::ReplicationConnection& connection,
                                         const postgres::SystemIdentity& server, bool slot_is_new) {
  if (!left_) return false;
  check_archive_reach(server);
  const auto kept = first_kept();
  const postgres::Lsn from = std::max(kept.value_or(postgres::Lsn{}), left_->acknowledged);
  const bool resumes = kept && !slot_is_new && branch_at(connection, server.timeline, from) == left_->timeline;
  const GapRecord left = *std::exchange(left_, std::nullopt);
  gap_map_.close(left.acknowledged);
  if (!resumes) return false;
  const std::uint64_t size = wal()->segment_size();
  const StreamPosition position = segment_position(left.timeline, from, size);
  indexer_ = std::make_unique<SegmentIndexer>(size, &changes()->tracker());
  uploader()->begin(position.timeline, position.next, position.next);
  position_ = position;
  note_gap_before(position.next, left.from, left.since);
  return true;
}

/// An older copy of the server has an older copy of the gap's file too: only the store can tell, if it is there.
void WalReceiver::Impl::check_archive_reach(const postgres::SystemIdentity& server) {
  try {
    if (const auto stored = stored_position(*wal())) check_reach(server, *stored);
  } catch (const core::Error& e) {
    if (e.code() == core::Code::kConflict) throw;
    core::log_debug("wal.archive_not_asked", e.what(), {{"instance", config_.instance}});
  }
}

/// A slot that is ahead of the store: an earlier receiver has let WAL go.
void WalReceiver::Impl::note_gap_before(postgres::Lsn start, postgres::Lsn from, core::Timestamp since) {
  core::log_warning(
      "wal.resumed_after_gap", "WAL was let go before this start and was not stored",
      {{"instance", config_.instance}, {"from", postgres::format_lsn(from)}, {"to", postgres::format_lsn(start)}});
  {
    const core::LockGuard lock(mutex_);
    status_.gap = WalGap{.from = from, .to = start, .since = since, .open = false};
  }
  want_base_backup(start, fmt::format("the store took nothing: the WAL from {} to {} was not stored",
                                      postgres::format_lsn(from), postgres::format_lsn(start)));
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
  // Where nothing was stored in between it is one gap.
  const bool goes_on = status_.gap && uploader_->stored() <= status_.gap->to;
  if (!goes_on) status_.gap = WalGap{.from = from, .since = environment_.clock.now()};
  status_.gap->to = from;
  status_.gap->open = true;
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
  {
    const core::LockGuard lock(mutex_);
    status_.gap->to = position_->next;
  }
  if (gap_map_.is_due(position_->next - acknowledged_ >= wal()->segment_size())) keep_gap_map();
}

/// A file that stays unreadable costs a full backup, but nobody's archive.
void WalReceiver::Impl::load_gap(const std::stop_token& stop) {
  for (int reads = 1; !stop.stop_requested(); ++reads) {
    try {
      left_ = gap_map_.load();
      if (left_) known_server_ = left_->system_identifier;
      return;
    } catch (const core::Error& e) {
      core::log_warning("wal.gap_map_unreadable", "what a gap has left cannot be read from the disk",
                        {{"instance", config_.instance}, {"error", e.what()}});
      if (reads == kGapReads) return gap_map_.close({});
      environment_.clock.wait(stop, kReceiveWait);
    }
  }
}

/// A disk that takes nothing costs a full backup if we are killed now, and the database nothing.
void WalReceiver::Impl::keep_gap_map() {
  GapRecord head{.system_identifier = known_server_, .timeline = position_->timeline, .acknowledged = acknowledged_};
  {
    const core::LockGuard lock(mutex_);
    head.from = std::min(status_.gap->from, uploader_->stored());
    head.since = status_.gap->since;
  }
  try {
    acknowledged_ = gap_map_.keep(std::move(head), *changes(), position_->next);
  } catch (const core::Error& e) {
    core::log_warning("wal.gap_map_not_kept", "what WAL changed that is let go is in memory only",
                      {{"instance", config_.instance}, {"error", e.what()}});
    acknowledged_ = position_->next;
  }
}

/// Storing begins at the start of a segment that is not in the spool already. A record that crosses it must have been
/// parsed, or the map would lack it.
bool WalReceiver::Impl::may_store_again() const {
  const postgres::Lsn start = segment_position(position_->timeline, position_->next, wal()->segment_size()).next;
  const auto parsed = changes()->tracker().reached();
  return start >= gone_from_ && parsed && *parsed > start && uploader()->wait_for_room({});
}

/// The server has the segment that is filling, however far its slot has got.
void WalReceiver::Impl::store_again() {
  const StreamPosition again = segment_position(position_->timeline, position_->next, wal()->segment_size());
  const postgres::Lsn start = again.next;
  core::log_warning("wal.stored_again", "the store is back; WAL is stored again",
                    {{"instance", config_.instance}, {"from", postgres::format_lsn(start)}});
  keep_gap_map();
  gap_map_.close(acknowledged_);
  letting_go_ = false;
  position_ = again;
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

}  // namespace backstay::backup
