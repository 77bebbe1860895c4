#include "backup/recovery_window.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "backup/previous_segment.h"
#include "backup/recovery_rules.h"
#include "backup/segment_reader.h"
#include "core/error.h"
#include "core/mutex.h"
#include "postgres/timeline_history.h"
#include "repository/wal_store.h"

namespace backstay::backup {

class WalArchive::Impl {
 public:
  Impl(repository::Repository& repository, std::string instance)
      : repository_(repository), instance_(std::move(instance)) {}

  ArchiveState load(const std::optional<ArchiveEnd>& live);
  SegmentAnswer find_commit(const ArchivedSegment& segment, postgres::Lsn from, core::Timestamp time);
  std::vector<repository::BackupRecord> backups(std::vector<repository::DamagedBackup>* damaged) {
    return repository_.backups(instance_, damaged);
  }

 private:
  std::shared_ptr<repository::WalStore> store(std::uint64_t segment_size) EXCLUDES(mutex_);
  void load_timeline(repository::WalStore& wal, std::uint32_t timeline, ArchiveState& state);

  repository::Repository& repository_;
  const std::string instance_;
  core::Mutex mutex_;
  /// Shared by those who ask at the same time; it caches the indexes.
  std::shared_ptr<repository::WalStore> store_ GUARDED_BY(mutex_);
};

std::shared_ptr<repository::WalStore> WalArchive::Impl::store(std::uint64_t segment_size) {
  const core::LockGuard lock(mutex_);
  if (!store_ || store_->segment_size() != segment_size) {
    store_ = std::make_shared<repository::WalStore>(repository_, instance_, segment_size);
  }
  return store_;
}

ArchiveState WalArchive::Impl::load(const std::optional<ArchiveEnd>& live) {
  ArchiveState state;
  state.instance = instance_;
  state.backups = backups(&state.damaged);
  std::erase_if(state.backups, [&](const auto& backup) {
    if (backup.mechanism != "physical") state.logical.push_back(backup.backup);
    return backup.mechanism != "physical";
  });
  if (live) state.ends.push_back(*live);
  if (state.backups.empty()) return state;
  state.segment_size = state.backups.back().wal_segment_size;
  const auto wal = store(state.segment_size);
  for (const std::uint32_t timeline : wal->timelines()) load_timeline(*wal, timeline, state);
  return state;
}

void WalArchive::Impl::load_timeline(repository::WalStore& wal, std::uint32_t timeline, ArchiveState& state) {
  const postgres::TimelineId id{timeline};
  try {
    if (const auto history = wal.get_history(timeline)) {
      state.histories[id] = postgres::parse_timeline_history(core::as_text(*history));
    }
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kCorruptData) throw;
    state.warnings.push_back(
        fmt::format("the history of timeline {} cannot be read, so only what lies on it is known of its branch: {}",
                    timeline, e.what()));
  }
  const auto end = wal.window_end(timeline);
  if (end) state.ends.push_back({id, {end->lsn}, end->time});
  // The listing comes last, so that it holds what the proof speaks of.
  auto& segments = state.segments[id];
  const std::vector<repository::StoredSegment> listed = wal.list_expected(timeline, 0, UINT64_MAX, end ? end->lsn : 0);
  for (const auto& stored : listed) {
    segments.push_back(
        {.name = {id, stored.segment}, .contiguous = stored.contiguous(state.segment_size), .index = {}});
  }
  if (segments.empty()) return;
  for (auto& index : wal.segment_indexes(timeline, listed)) {
    const auto at =
        std::ranges::lower_bound(segments, index.segment, {}, [](const ArchivedSegment& s) { return s.name.segment; });
    if (at != segments.end() && at->name.segment == index.segment) at->index = std::move(index);
  }
}

/// Reads the segment, and the one before it, in which a record that completes here may begin.
SegmentAnswer WalArchive::Impl::find_commit(const ArchivedSegment& segment, postgres::Lsn from, core::Timestamp time) {
  std::shared_ptr<repository::WalStore> wal;
  {
    const core::LockGuard lock(mutex_);
    wal = store_;
  }
  SegmentReader reader(wal->segment_size(), from, time);
  try {
    if (const auto previous = read_previous_segment(*wal, segment.name)) {
      reader.pass(postgres::segment_start(segment.name.segment - 1, wal->segment_size()), *previous);
    }
    const auto data = wal->read_segment(segment.name.timeline.value, segment.name.segment);
    if (!data) throw core::Error(core::Code::kWalGap, "a WAL segment that was listed is not there any more");
    return reader.read(postgres::segment_start(segment.name.segment, wal->segment_size()), data->bytes);
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kCorruptData) throw;
    SegmentAnswer answer;
    answer.unclear = true;
    return answer;
  }
}

WalArchive::WalArchive(repository::Repository& repository, std::string instance)
    : impl_(std::make_unique<Impl>(repository, std::move(instance))) {}
WalArchive::~WalArchive() = default;

RecoveryRules WalArchive::rules(const ArchiveState& state) const {
  return {state, [this](const ArchivedSegment& segment, postgres::Lsn from, core::Timestamp time) {
            return impl_->find_commit(segment, from, time);
          }};
}

RecoveryWindow WalArchive::window(const std::optional<ArchiveEnd>& live) {
  const ArchiveState state = impl_->load(live);
  return rules(state).window();
}

RecoveryPlan WalArchive::plan(const RecoveryTarget& target, core::Timestamp now,
                              const std::optional<ArchiveEnd>& live) {
  const ArchiveState state = impl_->load(live);
  return rules(state).plan(target, now);
}

std::vector<repository::BackupRecord> WalArchive::backups(std::vector<repository::DamagedBackup>* damaged) {
  return impl_->backups(damaged);
}

}  // namespace backstay::backup
