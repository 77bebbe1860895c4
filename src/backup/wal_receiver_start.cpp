// Where a stream begins: what the server is, what the store has, and where the slot keeps WAL from.
#include <algorithm>

#include <fmt/format.h>

#include "backup/previous_segment.h"
#include "backup/wal_receiver_impl.h"
#include "core/error.h"
#include "core/log.h"
#include "postgres/timeline_history.h"

namespace backstay::backup {

postgres::TimelineId branch_at(postgres::ReplicationConnection& connection, postgres::TimelineId newest,
                               postgres::Lsn lsn) {
  if (newest.value < 2) return newest;
  return postgres::timeline_at(postgres::parse_timeline_history(connection.timeline_history(newest)), newest, lsn);
}

void WalReceiver::Impl::check_reach(const postgres::SystemIdentity& server, postgres::Lsn archived) const {
  if (server.flushed >= archived) return;
  throw core::Error(
      core::Code::kConflict,
      fmt::format("the archive of instance '{}' reaches {}, but the server only {}: it is not the "
                  "server that wrote this archive, or an older copy of it",
                  config_.instance, postgres::format_lsn(archived), postgres::format_lsn(server.flushed)));
}

/// Of a segment that is not whole the archive has more than its beginning, from where it is sent again.
void WalReceiver::Impl::check_reach(const postgres::SystemIdentity& server, const StreamPosition& stored) const {
  check_reach(server, server.timeline == stored.timeline ? stored.stored : stored.next);
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
    if (left_) changes->restore(std::move(left_->changes));
  }
  const core::LockGuard lock(mutex_);
  wal_ = std::move(store);
  uploader_ = std::move(uploader);
  changes_ = std::move(changes);
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
  std::optional<StreamPosition> position;
  if (!config_.temporary_slot && !after_gap_) position = stored_position(*wal());
  if (position) check_reach(server, *position);
  if (!position) {
    const postgres::Lsn from = kept ? std::min(*kept, server.flushed) : server.flushed;
    position = segment_position(server.timeline, from, size);
  } else if (kept && !slot_is_new && *kept < position->next) {
    position = segment_position(branch_at(connection, position->timeline, *kept), *kept, size);
  } else if (kept && !slot_is_new && postgres::segment_of(*kept, size) > postgres::segment_of(position->next, size)) {
    const postgres::Lsn from = position->stored;
    position = segment_position(branch_at(connection, server.timeline, *kept), *kept, size);
    note_gap_before(position->next, from, environment_.clock.now());
  }
  store_history(connection, server.timeline);
  // Last: a session that finds a position does not come here.
  prime_indexer(*position, {});
  uploader()->begin(position->timeline, position->next, position->stored);
  position_ = position;
  if (after_gap_) note_beginning_after_gap();
}

/// A record that began in the segment before must be known when its end arrives. `filled`: what was received of the
/// position's own segment. If the store cannot be read everything is as it was.
void WalReceiver::Impl::prime_indexer(const StreamPosition& position, core::ByteSpan filled) {
  const auto store = wal();
  const auto keeper = changes();
  const std::uint64_t size = store->segment_size();
  const postgres::SegmentNumber segment = postgres::segment_of(position.next, size);
  const auto before = read_previous_segment(*store, {position.timeline, segment});
  indexer_ = std::make_unique<SegmentIndexer>(size, keeper ? &keeper->tracker() : nullptr);
  if (before) indexer_->feed(position.timeline, postgres::segment_start(segment - 1, size), *before);
  if (!filled.empty()) indexer_->feed(position.timeline, postgres::segment_start(segment, size), filled);
}

void WalReceiver::Impl::store_history(postgres::ReplicationConnection& connection, postgres::TimelineId timeline) {
  if (timeline.value < 2 || wal()->get_history(timeline.value)) return;
  wal()->put_history(timeline.value, core::as_bytes(connection.timeline_history(timeline)));
}

}  // namespace backstay::backup
