// The meaning of the few kinds of records that recovery targets are made of.
#include <algorithm>
#include <chrono>

#include "postgres/record_reader.h"
#include "postgres/wal_parser.h"

namespace backstay::postgres {
namespace {

constexpr std::uint8_t kXlogManager = 0;
constexpr std::uint8_t kTransactionManager = 1;
constexpr std::uint8_t kTablespaceManager = 5;

// Kinds of XLOG records.
constexpr std::uint8_t kXlogMask = 0xF0;
constexpr std::uint8_t kSwitch = 0x40;
constexpr std::uint8_t kRestorePoint = 0x70;
constexpr std::uint8_t kEndOfRecovery = 0x90;

constexpr std::uint8_t kTablespaceCreated = 0x00;

// Kinds of transaction records, and the flag that more follows the time.
constexpr std::uint8_t kTransactionMask = 0x70;
constexpr std::uint8_t kCommit = 0x00;
constexpr std::uint8_t kAbort = 0x20;
constexpr std::uint8_t kCommitPrepared = 0x30;
constexpr std::uint8_t kAbortPrepared = 0x40;
constexpr std::uint8_t kHasInfo = 0x80;

// Parts of a transaction record, in their order in it.
constexpr std::uint32_t kHasDatabase = 1u << 0;
constexpr std::uint32_t kHasSubtransactions = 1u << 1;
constexpr std::uint32_t kHasRelations = 1u << 2;
constexpr std::uint32_t kHasInvalidations = 1u << 3;
constexpr std::uint32_t kHasTwoPhase = 1u << 4;
constexpr std::uint32_t kHasDroppedStatistics = 1u << 8;
constexpr std::uint16_t kMagic18 = 0xD118;

constexpr std::size_t kRecordHeader = 24;
constexpr std::size_t kRestorePointName = 64;

/// The main data of a record without block references.
core::ByteSpan main_data(const WalRecord& record) {
  constexpr std::uint8_t kShort = 255;
  constexpr std::uint8_t kLong = 254;
  constexpr std::uint8_t kOrigin = 253;
  constexpr std::uint8_t kTopLevelXid = 252;
  RecordReader reader(record.head.subspan(kRecordHeader));
  while (!reader.overrun()) {
    switch (reader.take<std::uint8_t>()) {
      case kOrigin: reader.skip(sizeof(std::uint16_t)); break;
      case kTopLevelXid: reader.skip(sizeof(std::uint32_t)); break;
      case kShort: reader.skip(sizeof(std::uint8_t)); return reader.rest();
      case kLong: reader.skip(sizeof(std::uint32_t)); return reader.rest();
      default: return {};
    }
  }
  return {};
}

/// The xid that a COMMIT PREPARED or ROLLBACK PREPARED is about: the record's own is that of the session.
std::uint32_t prepared_xid(RecordReader reader, const WalRecord& record, bool commit) {
  if ((record.info & kHasInfo) == 0) return 0;
  const auto parts = reader.take<std::uint32_t>();
  if ((parts & kHasTwoPhase) == 0) return 0;
  if ((parts & kHasDatabase) != 0) reader.skip(8);
  if ((parts & kHasSubtransactions) != 0) reader.skip_array(4);
  if ((parts & kHasRelations) != 0) reader.skip_array(12);
  if ((parts & kHasDroppedStatistics) != 0) reader.skip_array(record.page_magic >= kMagic18 ? 16 : 12);
  if (commit && (parts & kHasInvalidations) != 0) reader.skip_array(16);
  return reader.take<std::uint32_t>();
}

std::optional<WalEvent> decode_transaction(const WalRecord& record) {
  const auto kind = static_cast<std::uint8_t>(record.info & kTransactionMask);
  const bool commit = kind == kCommit || kind == kCommitPrepared;
  const bool prepared = kind == kCommitPrepared || kind == kAbortPrepared;
  if (!commit && kind != kAbort && kind != kAbortPrepared) return std::nullopt;
  RecordReader reader(main_data(record));
  const auto time = from_postgres_time(reader.take<std::int64_t>());
  if (reader.overrun()) return std::nullopt;
  TransactionEnd end;
  end.kind = commit ? TransactionEnd::Kind::kCommit : TransactionEnd::Kind::kAbort;
  end.prepared = prepared;
  end.time = time;
  end.xid = prepared ? prepared_xid(reader, record, commit) : record.xid;
  end.start = record.start;
  end.end = record.end;
  return end;
}

std::optional<WalEvent> decode_restore_point(const WalRecord& record) {
  RecordReader reader(main_data(record));
  const auto time = from_postgres_time(reader.take<std::int64_t>());
  if (reader.overrun()) return std::nullopt;
  auto name = core::as_text(reader.rest().first(std::min(kRestorePointName, reader.rest().size())));
  name = name.substr(0, name.find('\0'));
  return RestorePoint{std::string(name), time, record.start, record.end};
}

std::optional<WalEvent> decode_end_of_recovery(const WalRecord& record) {
  RecordReader reader(main_data(record));
  const auto time = from_postgres_time(reader.take<std::int64_t>());
  const TimelineId timeline{reader.take<std::uint32_t>()};
  const TimelineId previous{reader.take<std::uint32_t>()};
  if (reader.overrun()) return std::nullopt;
  return TimelineChange{timeline, previous, time, record.start, record.end};
}

constexpr std::chrono::seconds kPostgresEpoch{946'684'800};  // 2000-01-01
/// The times that can be written down: years 0 to 9999.
constexpr std::chrono::microseconds kFirstTime = std::chrono::seconds(-62'167'219'200) - kPostgresEpoch;
constexpr std::chrono::microseconds kLastTime = std::chrono::seconds(253'402'300'799) - kPostgresEpoch;

}  // namespace

std::optional<WalEvent> decode_event(const WalRecord& record) {
  if (record.resource_manager == kTransactionManager) return decode_transaction(record);
  if (record.resource_manager == kTablespaceManager) {
    if ((record.info & kXlogMask) != kTablespaceCreated) return std::nullopt;
    return TablespaceCreation{record.start, record.end};
  }
  if (record.resource_manager != kXlogManager) return std::nullopt;
  switch (record.info & kXlogMask) {
    case kSwitch: return SegmentSwitch{record.start, record.end};
    case kRestorePoint: return decode_restore_point(record);
    case kEndOfRecovery: return decode_end_of_recovery(record);
    default: return std::nullopt;
  }
}

core::Timestamp from_postgres_time(std::int64_t microseconds) {
  return core::Timestamp(kPostgresEpoch + std::clamp(std::chrono::microseconds(microseconds), kFirstTime, kLastTime));
}

std::int64_t to_postgres_time(core::Timestamp time) { return (time.time_since_epoch() - kPostgresEpoch).count(); }

}  // namespace backstay::postgres
