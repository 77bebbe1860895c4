#include "repository/prune_wal.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/json_fields.h"
#include "repository/page_change_objects.h"
#include "repository/wal_names.h"
#include "repository/wal_store.h"

namespace backstay::repository::detail {
namespace {

/// Segments [first, last] that a backup needs by itself.
struct OwnWal {
  std::uint32_t timeline = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

class WalPruner {
 public:
  WalPruner(PruneWorld& world, const UnwantedWal& unwanted) : world_(world), unwanted_(unwanted) {}

  void run(const std::vector<BackupObjects>& backups) {
    for (const BackupObjects& backup : backups) {
      if (backup.instance == unwanted_.instance) take_in(backup);
    }
    if (segment_size_ == 0) {
      const auto instance = world_.repository.instance(unwanted_.instance);
      if (!instance)
        return world_.wait(title(), "there is no record of the instance, so its segments' size is not known");
      segment_size_ = instance->wal_segment_size;
    }
    for (const std::uint32_t timeline : WalStore(world_.repository, unwanted_.instance, segment_size_).timelines()) {
      if (const std::uint64_t end = limit(timeline) / segment_size_; end > 0) remove_before(timeline, end);
    }
    list_changes();
    if (keys_.empty()) return;
    world_.note(PruneAction::kRemoveWal, title(), keys_.size(), bytes_, unwanted_.reason);
    world_.remove(keys_);
  }

 private:
  [[nodiscard]] std::string title() const { return "WAL of instance " + unwanted_.instance; }

  void take_in(const BackupObjects& backup) {
    for (const auto& [id, attempt] : backup.attempts) {
      if (attempt.record) take_in(backup, id, backup.condemned || attempt.condemned);
    }
  }

  void take_in(const BackupObjects& backup, const ObjectId& attempt, bool condemned) {
    const auto record = world_.repository.backup(backup.instance, backup.backup, attempt);
    if (!record) return;
    if (record->stop_lsn == 0) return;  // needs no WAL
    segment_size_ = record->wal_segment_size;
    own_.push_back({.timeline = record->timeline,
                    .first = record->start_lsn / segment_size_,
                    .last = (record->stop_lsn - 1) / segment_size_});
    // Who recovers from it at this moment may want any time after it.
    if (condemned) condemned_.emplace_back(record->timeline, record->start_lsn);
  }

  /// What lies before it may go.
  [[nodiscard]] std::uint64_t limit(std::uint32_t timeline) const {
    std::uint64_t lsn = UINT64_MAX;
    if (timeline > unwanted_.timeline) return 0;
    if (timeline == unwanted_.timeline) {
      lsn = unwanted_.lsn;
    } else if (const auto at = unwanted_.earlier.find(timeline); at != unwanted_.earlier.end()) {
      lsn = at->second;
    }
    for (const auto& [of, start] : condemned_) {
      if (of < timeline) return 0;
      if (of == timeline) lsn = std::min(lsn, start);
    }
    return lsn;
  }

  [[nodiscard]] bool is_own(std::uint32_t timeline, std::uint64_t first, std::uint64_t last) const {
    return std::ranges::any_of(
        own_, [&](const OwnWal& own) { return own.timeline == timeline && own.first <= last && first <= own.last; });
  }

  void remove_before(std::uint32_t timeline, std::uint64_t end) {
    const std::string prefix = fmt::format("{}{}/", wal_prefix(unwanted_.instance), timeline_text(timeline));
    // In byte order: the segments by number, then the roll-ups, each a listing that ends at the limit.
    list(prefix, timeline, 1, end);
    list(prefix + "index/", timeline, kRollUpSize, end);
  }

  /// `span`: how many segments an object speaks of.
  void list(const std::string& prefix, std::uint32_t timeline, std::uint64_t span, std::uint64_t end) {
    world_.repository.store().list(prefix, "", [&](const blob::ObjectInfo& object) {
      const auto name = parse_wal_name(std::string_view(object.key).substr(prefix.size()), segment_size_);
      if (!name || name->timeline != timeline) return true;
      if (name->segment >= end) return false;
      const std::uint64_t last = name->segment + span - 1;
      if (last < end && !is_own(timeline, name->segment, last)) take_old(object);
      return true;
    });
  }

  /// What changed before a base began is of no use to a backup upon it.
  void list_changes() {
    const std::string prefix = page_changes_prefix(unwanted_.instance);
    world_.repository.store().list(prefix, "", [&](const blob::ObjectInfo& object) {
      const auto name = parse_page_changes_name(std::string_view(object.key).substr(prefix.size()));
      if (name && name->to <= limit(name->timeline)) take_old(object);
      return true;
    });
  }

  void take_old(const blob::ObjectInfo& object) {
    if (world_.clocks.store - object.modified < world_.request.grace) return;
    keys_.push_back(object.key);
    bytes_ += object.size;
  }

  PruneWorld& world_;
  const UnwantedWal& unwanted_;
  std::uint64_t segment_size_ = 0;
  std::vector<OwnWal> own_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> condemned_;
  std::vector<std::string> keys_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

void prune_wal(PruneWorld& world, const UnwantedWal& unwanted, const std::vector<BackupObjects>& backups,
               bool writing) {
  const std::string title = "WAL of instance " + unwanted.instance;
  if (writing) return world.wait(title, "a backup of it is being written, or was a moment ago");
  try {
    WalPruner(world, unwanted).run(backups);
  } catch (const core::Error& error) {
    if (!is_damaged(error)) throw;
    world.wait(title, fmt::format("which of it is needed is not known: {}", error.message()));
  }
}

}  // namespace backstay::repository::detail
