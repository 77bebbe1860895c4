// What a WAL record does to the pages of relations.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "postgres/relation_fork.h"
#include "postgres/wal_parser.h"

namespace backstay::postgres {

struct BlockReference {
  RelationFork of;
  std::uint32_t block = 0;
  bool operator==(const BlockReference&) const = default;
};

/// Replay of a record touches no page of a main fork but these. (It may touch free space and visibility maps without
/// saying so.)
struct PageEffects {
  std::vector<BlockReference> blocks = {};
  /// The fork was made, or cut off there: everything from this block on is new.
  std::vector<BlockReference> new_from = {};
  /// (tablespace, database) whose directory was made, copied or removed.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> databases = {};
  std::vector<std::uint32_t> tablespaces = {};
  /// Why nothing is known of what changed; empty if the above is all.
  std::string unknown = {};

  void clear();
};

/// Reads the record of PostgreSQL 13 to 18, as `page_magic` says, into `effects`, whatever was in there. `unknown` is
/// set for a resource manager or a kind of record that is none of theirs, for a record that is not well-formed, and for
/// one that tells of wal_level=minimal, under which changes are not in the WAL.
void read_page_effects(const WalRecord& record, PageEffects& effects);

}  // namespace backstay::postgres
