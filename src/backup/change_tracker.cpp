#include "backup/change_tracker.h"

#include <utility>

namespace backstay::backup {
namespace {

constexpr std::uint64_t kShortPageHeader = 24;
constexpr std::uint64_t kLongPageHeader = 40;

/// What follows a switch begins in the next segment.
postgres::Lsn end_of(const postgres::WalRecord& record, std::uint64_t segment_size) {
  const auto event = record.resource_manager == 0 ? postgres::decode_event(record) : std::nullopt;
  if (!event || !std::holds_alternative<postgres::SegmentSwitch>(*event)) return record.end;
  return postgres::segment_start(postgres::segment_of({record.end.value - 1}, segment_size) + 1, segment_size);
}

}  // namespace

postgres::Lsn first_record_from(postgres::Lsn end, std::uint64_t segment_size) {
  if (end.value % postgres::kWalPageSize != 0) return end;
  return end + (end.value % segment_size == 0 ? kLongPageHeader : kShortPageHeader);
}

void note_effects(const postgres::PageEffects& effects, PageChanges& changes) {
  for (const auto& reference : effects.blocks) changes.note_block(reference.of, reference.block);
  for (const auto& limit : effects.new_from) changes.note_new_from(limit.of, limit.block);
  for (const auto& [tablespace, database] : effects.databases) changes.note_new_database(tablespace, database);
  for (const std::uint32_t tablespace : effects.tablespaces) changes.note_new_tablespace(tablespace);
  if (!effects.unknown.empty()) changes.note_unproven(effects.unknown);
}

void ChangeTracker::note(const postgres::WalRecord& record) {
  if (!from_) from_ = record.start;
  to_ = first_record_from(end_of(record, segment_size_), segment_size_);
  postgres::read_page_effects(record, effects_);
  note_effects(effects_, changes_);
}

void ChangeTracker::begin_anew(postgres::TimelineId timeline) {
  end_stretch();
  from_.reset();
  timeline_ = timeline;
}

void ChangeTracker::end_stretch() {
  if (length() == 0) return;
  ended_.push_back({.timeline = timeline_, .from = *from_, .to = to_, .changes = std::exchange(changes_, {})});
  from_ = to_;
}

std::optional<postgres::Lsn> ChangeTracker::reached() const {
  if (!from_) return std::nullopt;
  return to_;
}

std::vector<ChangedStretch> ChangeTracker::take() {
  end_stretch();
  return std::exchange(ended_, {});
}

}  // namespace backstay::backup
