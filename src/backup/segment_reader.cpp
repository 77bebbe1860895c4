#include "backup/segment_reader.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace backstay::backup {

SegmentReader::SegmentReader(std::uint64_t segment_size, postgres::Lsn from, core::Timestamp time)
    : from_(from), time_(time), parser_(segment_size, [this](const postgres::WalRecord& r) { note(r); }) {}

void SegmentReader::pass(postgres::Lsn at, core::ByteSpan bytes) {
  feed(at, bytes);
  if (parser_.at_end()) parser_.restart();
}

SegmentAnswer SegmentReader::read(postgres::Lsn at, core::ByteSpan bytes) {
  inside_ = true;
  feed(at, bytes);
  return std::exchange(answer_, {});
}

void SegmentReader::feed(postgres::Lsn at, core::ByteSpan bytes) {
  while (!bytes.empty()) {
    const core::ByteSpan page = bytes.first(std::min<std::size_t>(postgres::kWalPageSize, bytes.size()));
    const std::uint64_t passed_over = parser_.passed_over();
    bool readable = true;
    try {
      parser_.feed(at, page);
      readable = parser_.passed_over() == passed_over;
    } catch (const core::Error& e) {
      if (e.code() != core::Code::kCorruptData) throw;
      parser_.restart();
      readable = false;
    }
    if (inside_ && !readable && !answer_.commit) answer_.unclear = true;
    at += page.size();
    bytes = bytes.subspan(page.size());
  }
}

void SegmentReader::note(const postgres::WalRecord& record) {
  if (!inside_) return;
  answer_.last_record = record.start;
  const auto event = postgres::decode_event(record);
  const auto* end = event ? std::get_if<postgres::TransactionEnd>(&*event) : nullptr;
  if (answer_.commit || end == nullptr) return;
  if (end->start < from_) {
    answer_.earlier = std::max(answer_.earlier.value_or(end->time), end->time);
    return;
  }
  if (end->time > time_) {
    answer_.commit = CommitRecord{end->start, end->end, end->time};
  } else {
    answer_.before = end->time;
    answer_.unclear = false;
  }
}

}  // namespace backstay::backup
