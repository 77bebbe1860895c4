// The segment before another one, in which a record that ends there may begin.
#pragma once

#include <optional>

#include "core/bytes.h"
#include "postgres/lsn.h"
#include "repository/wal_store.h"

namespace backstay::backup {

/// The whole segment that comes before this one on its branch: where the branch begins, that of its ancestor. Nothing
/// if the archive does not have it, or not undamaged.
std::optional<core::Bytes> read_previous_segment(repository::WalStore& wal, postgres::SegmentName name);

}  // namespace backstay::backup
