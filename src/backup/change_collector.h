// Finds out what the WAL of one branch changed between two backups.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "backup/page_changes.h"
#include "postgres/lsn.h"
#include "repository/repository.h"

namespace backstay::backup {

struct BranchPoint {
  postgres::TimelineId timeline = {};
  postgres::Lsn lsn = {};
};

struct ChangesRequest {
  std::string instance = {};
  std::uint64_t segment_size = postgres::kDefaultSegmentSize;
  /// Where the base's map begins, its start (redo), and its end: its files were read before that.
  BranchPoint from = {};
  postgres::Lsn base_stop = {};
  /// The start (redo) of the new backup. The archive must have the WAL up to there, or the map's objects must; see
  /// WalReceiver::store_page_changes.
  BranchPoint to = {};
};

struct CollectedChanges {
  PageChanges changes = {};
  /// Why nothing may be taken from the base, for people; empty if the map is whole. The same as changes.unproven().
  std::string unproven = {};
  /// It is unproven because of WAL that is not in the archive; whoever streams it may still store it.
  bool wal_missing = false;
  /// Where it came from.
  std::uint64_t objects_read = 0;
  std::uint64_t segments_read = 0;
};

/// All that changed in any relation by records that begin in [from, to), or the reason why that is not known: a record
/// of an unknown kind, WAL of wal_level=minimal, a hole that neither objects nor stored WAL cover, a base that is not
/// on the branch of `to` (or whose copy ended after the branch had left it). Missing or damaged objects of the map are
/// passed over where the WAL itself is there.
///
/// Throws Error: cancelled at a stop, invalid_argument if `from` is not before `to`, and the store's errors.
CollectedChanges collect_page_changes(repository::Repository& repository, const ChangesRequest& request,
                                      std::stop_token stop);

}  // namespace backstay::backup
