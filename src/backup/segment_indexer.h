// Turns a stream of WAL into commit indexes.
#pragma once

#include <cstdint>
#include <optional>

#include "backup/change_tracker.h"
#include "core/bytes.h"
#include "postgres/lsn.h"
#include "postgres/wal_parser.h"
#include "repository/segment_index.h"

namespace backstay::backup {

/// Feed it one branch's WAL in order. One thread at a time.
class SegmentIndexer {
 public:
  /// `tracker`, if there is one, outlives it; it is told of every record and of every break between them.
  explicit SegmentIndexer(std::uint64_t segment_size, ChangeTracker* tracker = nullptr);

  /// What the records that complete in these bytes say. The bytes lie within one segment. Bytes that are no WAL, and
  /// the end of a record whose beginning was not fed, are passed over, and the index is then incomplete: archiving must
  /// not depend on understanding.
  repository::SegmentIndex feed(postgres::TimelineId timeline, postgres::Lsn at, core::ByteSpan bytes);

  /// Begins anew at the next page boundary that is fed.
  void restart();
  /// The end of what was fed.
  [[nodiscard]] std::optional<postgres::Lsn> position() const { return position_; }

 private:
  void note(const postgres::WalRecord& record);
  void note_transaction(const postgres::TransactionEnd& end);

  const std::uint64_t segment_size_;
  ChangeTracker* const tracker_;
  postgres::WalParser parser_;
  bool synchronized_ = false;
  std::optional<postgres::Lsn> position_;
  repository::SegmentIndex current_;
};

}  // namespace backstay::backup
