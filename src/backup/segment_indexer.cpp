#include "backup/segment_indexer.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"

namespace backstay::backup {

SegmentIndexer::SegmentIndexer(std::uint64_t segment_size, ChangeTracker* tracker)
    : segment_size_(segment_size),
      tracker_(tracker),
      parser_(segment_size, [this](const postgres::WalRecord& r) { note(r); }) {}

void SegmentIndexer::restart() {
  parser_.restart();
  position_.reset();
  synchronized_ = false;
}

repository::SegmentIndex SegmentIndexer::feed(postgres::TimelineId timeline, postgres::Lsn at, core::ByteSpan bytes) {
  current_ = {};
  current_.timeline = timeline.value;
  current_.segment = postgres::segment_of(at, segment_size_);
  const postgres::Lsn end = at + bytes.size();
  if (!synchronized_) {
    const std::uint64_t skip = (postgres::kWalPageSize - at.value % postgres::kWalPageSize) % postgres::kWalPageSize;
    current_.incomplete = skip > 0;
    if (skip >= bytes.size()) {
      position_ = end;
      return current_;
    }
    at += skip;
    bytes = bytes.subspan(skip);
    synchronized_ = true;
    if (tracker_ != nullptr) tracker_->begin_anew(timeline);
  }
  const std::uint64_t passed_over = parser_.passed_over();
  try {
    parser_.feed(at, bytes);
    if (parser_.passed_over() != passed_over) current_.incomplete = true;
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kCorruptData) throw;
    current_.incomplete = true;
    core::log_warning("wal.not_understood", "a part of the WAL could not be indexed; it is archived all the same",
                      {{"at", postgres::format_lsn(at)}, {"error", e.what()}});
    restart();
  }
  position_ = end;
  return current_;
}

void SegmentIndexer::note(const postgres::WalRecord& record) {
  if (tracker_ != nullptr) tracker_->note(record);
  current_.last_record_lsn = record.start.value;
  current_.last_record_end = record.end.value;
  if (record.xid != 0) {
    if (current_.first_xid == 0) current_.first_xid = record.xid;
    current_.last_xid = record.xid;
  }
  const auto event = postgres::decode_event(record);
  if (!event) return;
  if (const auto* end = std::get_if<postgres::TransactionEnd>(&*event)) note_transaction(*end);
  if (const auto* point = std::get_if<postgres::RestorePoint>(&*event)) {
    current_.restore_points.push_back({point->name, point->end.value, point->time});
  }
  if (const auto* made = std::get_if<postgres::TablespaceCreation>(&*event)) {
    current_.tablespaces.push_back(made->start.value);
  }
}

void SegmentIndexer::note_transaction(const postgres::TransactionEnd& end) {
  ++current_.commits;
  if (!current_.first_commit_time) {
    current_.first_commit_time = end.time;
    current_.first_commit_lsn = end.start.value;
  }
  current_.last_commit_time = end.time;
  current_.last_commit_lsn = end.start.value;
  current_.min_commit_time = std::min(current_.min_commit_time.value_or(end.time), end.time);
  current_.max_commit_time = std::max(current_.max_commit_time.value_or(end.time), end.time);
}

}  // namespace backstay::backup
