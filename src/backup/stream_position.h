// Where a WAL stream into an archive goes on.
#pragma once

#include <cstdint>
#include <optional>

#include "postgres/lsn.h"
#include "repository/wal_store.h"

namespace backstay::backup {

struct StreamPosition {
  postgres::TimelineId timeline;
  /// Received up to here.
  postgres::Lsn next;
  /// Known to be in the store when the stream began.
  postgres::Lsn stored;
};

/// The start of the segment that holds `lsn`, with nothing of it known to be stored. `segment_size` in bytes.
StreamPosition segment_position(postgres::TimelineId timeline, postgres::Lsn lsn, std::uint64_t segment_size);

/// Behind the last segment of the newest timeline, or at its start while it is not whole; nothing in an empty archive.
/// Segments are stored out of order, and a backup may store some on its own, so this says nothing about those before.
std::optional<StreamPosition> stored_position(repository::WalStore& wal);

}  // namespace backstay::backup
