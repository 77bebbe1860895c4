// A fork of a relation as the WAL names it.
#pragma once

#include <compare>
#include <cstdint>

namespace backstay::postgres {

/// Three of PostgreSQL's numbers, as in the paths of its files. A database's default tablespace is 1663; the cluster's
/// shared relations are of tablespace 1664 and database 0.
struct RelationFork {
  std::uint32_t tablespace = 0;
  std::uint32_t database = 0;
  std::uint32_t relation = 0;
  std::uint8_t fork = 0;  ///< 0 main, 1 free space, 2 visibility, 3 init
  auto operator<=>(const RelationFork&) const = default;
};

}  // namespace backstay::postgres
