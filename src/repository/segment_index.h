// What one WAL segment holds, in a few dozen bytes: it answers "can this time be reached?" without reading any WAL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/time.h"

namespace backstay::repository {

struct RestorePoint {
  std::string name = {};
  std::uint64_t lsn = 0;  // the end of its record
  core::Timestamp time = {};
  friend bool operator==(const RestorePoint&, const RestorePoint&) = default;
};

/// Of the records that *end* in the segment (or in the part of it that a tail covers): only then are all their bytes
/// known. So the start of the first one may lie in the segment before. "Commit" here means every commit and abort
/// record, those of prepared transactions included: each carries a time.
struct SegmentIndex {
  std::uint32_t timeline = 0;
  std::uint64_t segment = 0;  // number: LSN / segment size
  std::uint64_t commits = 0;
  std::optional<core::Timestamp> first_commit_time = {};  // in LSN order
  std::optional<core::Timestamp> last_commit_time = {};
  std::optional<core::Timestamp> min_commit_time = {};  // times need not grow with LSNs
  std::optional<core::Timestamp> max_commit_time = {};
  std::uint64_t first_commit_lsn = 0;  // start of the record; 0 if there is none
  std::uint64_t last_commit_lsn = 0;
  std::uint32_t first_xid = 0;
  std::uint32_t last_xid = 0;
  /// Start of the last record that ends here; 0 if none does.
  std::uint64_t last_record_lsn = 0;
  /// End of the last record that ends here.
  std::uint64_t last_record_end = 0;
  std::vector<RestorePoint> restore_points = {};
  /// Where tablespaces were created (starts of the records).
  std::vector<std::uint64_t> tablespaces = {};
  /// A part could not be read as records: there may be more than is told here.
  bool incomplete = false;

  /// Adds what a later part of the same segment holds. Where the parts overlap, `commits` counts what is in both twice;
  /// everything else is told once.
  void merge(const SegmentIndex& later);
  friend bool operator==(const SegmentIndex&, const SegmentIndex&) = default;
};

core::json::object to_json(const SegmentIndex& index);
/// Throws Error(corrupt_data) for a missing or wrong field.
SegmentIndex segment_index_from_json(const core::json::value& value);

}  // namespace backstay::repository
