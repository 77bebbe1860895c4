#include "backup/stream_position.h"

namespace backstay::backup {

StreamPosition segment_position(postgres::TimelineId timeline, postgres::Lsn lsn, std::uint64_t segment_size) {
  const postgres::Lsn start = postgres::segment_start(postgres::segment_of(lsn, segment_size), segment_size);
  return {.timeline = timeline, .next = start, .stored = start};
}

std::optional<StreamPosition> stored_position(repository::WalStore& wal) {
  const std::uint64_t size = wal.segment_size();
  const auto timelines = wal.timelines();
  for (auto timeline = timelines.rbegin(); timeline != timelines.rend(); ++timeline) {
    const auto segments = wal.list(*timeline);
    if (segments.empty()) continue;
    const auto& last = segments.back();
    const postgres::Lsn start = postgres::segment_start(last.segment, size);
    const std::uint64_t there = last.contiguous(size);
    return StreamPosition{
        .timeline = {*timeline}, .next = there == size ? start + size : start, .stored = start + there};
  }
  return std::nullopt;
}

}  // namespace backstay::backup
