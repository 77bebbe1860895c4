// Notes what changes while WAL is being parsed.
#pragma once

#include <optional>
#include <vector>

#include "backup/page_changes.h"
#include "postgres/lsn.h"
#include "postgres/page_effects.h"
#include "postgres/wal_parser.h"

namespace backstay::backup {

/// Where no record can begin before: the end of a record, and after a page's end the header of the next page.
postgres::Lsn first_record_from(postgres::Lsn end, std::uint64_t segment_size);

/// What the records say that begin in [from, to): all of them.
struct ChangedStretch {
  postgres::TimelineId timeline = {};
  postgres::Lsn from = {};
  postgres::Lsn to = {};
  PageChanges changes = {};
};

/// One thread at a time.
class ChangeTracker {
 public:
  explicit ChangeTracker(std::uint64_t segment_size) : segment_size_(segment_size) {}

  /// A record that follows the one before, unless begin_anew() lies between.
  void note(const postgres::WalRecord& record);
  /// What comes does not follow what came: with the next record another stretch begins, of this branch.
  void begin_anew(postgres::TimelineId timeline);

  /// Where the stretch that is growing has got to; none before its first record.
  [[nodiscard]] std::optional<postgres::Lsn> reached() const;
  [[nodiscard]] std::uint64_t length() const { return from_ ? to_ - *from_ : 0; }
  [[nodiscard]] std::size_t memory() const { return changes_.memory(); }

  /// Everything so far, one stretch for each piece without a hole; what comes goes on from there.
  std::vector<ChangedStretch> take();

 private:
  void end_stretch();

  const std::uint64_t segment_size_;
  postgres::TimelineId timeline_;
  std::optional<postgres::Lsn> from_;
  postgres::Lsn to_;
  PageChanges changes_;
  postgres::PageEffects effects_;  // kept for its memory
  std::vector<ChangedStretch> ended_;
};

/// Into the map.
void note_effects(const postgres::PageEffects& effects, PageChanges& changes);

}  // namespace backstay::backup
