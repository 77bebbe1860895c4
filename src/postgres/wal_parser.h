// Reads the records of the write-ahead log out of its bytes, as they stream by.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "core/bytes.h"
#include "core/time.h"
#include "postgres/lsn.h"

namespace backstay::postgres {

/// One whole record whose checksum held. `head` is its first bytes (header included, at most WalParser::kHeadSize):
/// enough for the block headers of any record and for the main data of those that WalEvent is made of.
struct WalRecord {
  Lsn start;
  Lsn end;  ///< as PostgreSQL counts it: padding to the next 8 bytes included
  std::uint8_t resource_manager = 0;
  std::uint8_t info = 0;
  std::uint32_t xid = 0;
  std::uint32_t length = 0;
  std::uint16_t page_magic = 0;  ///< of the PostgreSQL version that wrote it
  core::ByteSpan head;
};

/// The end of a transaction, also of a prepared one. (Not of a subtransaction.)
struct TransactionEnd {
  enum class Kind { kCommit, kAbort };
  Kind kind = Kind::kCommit;
  bool prepared = false;  ///< ended by COMMIT PREPARED or ROLLBACK PREPARED
  std::uint32_t xid = 0;  ///< 0 for a prepared one whose record is too large to find it
  core::Timestamp time;
  Lsn start;  ///< of the record
  Lsn end;
};
struct RestorePoint {
  std::string name;
  core::Timestamp time;
  Lsn start;
  Lsn end;
};
/// The rest of the segment is padding.
struct SegmentSwitch {
  Lsn start;
  Lsn end;
};
/// The timeline changes here.
struct TimelineChange {
  TimelineId timeline;
  TimelineId previous;
  core::Timestamp time;
  Lsn start;
  Lsn end;
};
/// Replay of it links to the path that the tablespace has at the source.
struct TablespaceCreation {
  Lsn start;
  Lsn end;
};
using WalEvent = std::variant<TransactionEnd, RestorePoint, SegmentSwitch, TimelineChange, TablespaceCreation>;

/// What the record means, if it is one of the above.
std::optional<WalEvent> decode_event(const WalRecord& record);

/// PostgreSQL's time (microseconds since 2000) as ours; one beyond the years 0 to 9999 becomes their end.
core::Timestamp from_postgres_time(std::int64_t microseconds);
std::int64_t to_postgres_time(core::Timestamp time);

/// Feed it the WAL of one branch in order, in pieces of any size. It starts at any page boundary: a record that began
/// before is passed over. Understands the WAL of PostgreSQL 13 to 18. Memory is bounded whatever the size of a record.
class WalParser {
 public:
  static constexpr std::size_t kHeadSize = 4096;
  using OnRecord = std::function<void(const WalRecord&)>;

  WalParser(std::uint64_t segment_size, OnRecord on_record);
  ~WalParser();
  WalParser(WalParser&&) noexcept;
  WalParser& operator=(WalParser&&) noexcept;

  /// `at` must be a page boundary the first time and the end of what was fed before afterwards, else
  /// Error(internal). Throws Error(corrupt_data) naming the LSN for bytes that are no WAL, whose page address is not
  /// theirs, or whose checksum does not hold. The zeros after the end of WAL are the end: they give no record and no
  /// error, and `at_end` is then true until `restart`. Zeros before the first record are taken for what a switch left
  /// empty: reading goes on with the next segment.
  void feed(Lsn at, core::ByteSpan bytes);

  /// Forgets everything, to begin anew at another page boundary.
  void restart();

  /// The end of what was fed.
  [[nodiscard]] std::optional<Lsn> position() const;
  /// Where the last complete record starts and ends; none before the first.
  [[nodiscard]] std::optional<Lsn> last_record_start() const;
  [[nodiscard]] std::optional<Lsn> last_record_end() const;
  /// The timeline that the last page header names.
  [[nodiscard]] TimelineId timeline() const;
  /// Bytes of a record that began before the first page: of what it says nothing is known.
  [[nodiscard]] std::uint64_t passed_over() const;
  /// True if zeros were met where a record should begin.
  [[nodiscard]] bool at_end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backstay::postgres
