// Which bytes of a relation's file an incremental backup has to read.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backup/byte_range.h"
#include "backup/page_changes.h"
#include "postgres/cluster_files.h"

namespace backstay::backup {

/// The fork that the file belongs to if it is the main one; nothing for every other file: what became of those the WAL
/// does not say.
std::optional<RelationFork> main_fork(const postgres::ClusterEntry& file);

/// What has to be read of a file of `fork`, whose first `base_size` bytes an earlier backup holds: pages that the WAL
/// since then names, and everything that the earlier backup does not have whole. The rest is as it was.
std::vector<ByteRange> plan_reads(const postgres::ClusterEntry& file, const RelationFork& fork, std::uint64_t base_size,
                                  const PageChanges& changes);

}  // namespace backstay::backup
