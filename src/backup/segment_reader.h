// Reads the commits of one segment out of its bytes.
#pragma once

#include "backup/recovery_rules.h"
#include "core/bytes.h"
#include "core/time.h"
#include "postgres/lsn.h"
#include "postgres/wal_parser.h"

namespace backstay::backup {

/// For one segment. Pages that are no WAL are passed over and make the answer unclear.
class SegmentReader {
 public:
  SegmentReader(std::uint64_t segment_size, postgres::Lsn from, core::Timestamp time);

  /// First, if it is there: the segment before, for the record that may end in this one.
  void pass(postgres::Lsn at, core::ByteSpan bytes);
  SegmentAnswer read(postgres::Lsn at, core::ByteSpan bytes);

 private:
  void feed(postgres::Lsn at, core::ByteSpan bytes);
  void note(const postgres::WalRecord& record);

  const postgres::Lsn from_;
  const core::Timestamp time_;
  postgres::WalParser parser_;
  bool inside_ = false;
  SegmentAnswer answer_;
};

}  // namespace backstay::backup
