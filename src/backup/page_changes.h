// What a stretch of WAL changed: the map that incremental backups read by.
#pragma once

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backup/block_set.h"
#include "core/bytes.h"
#include "postgres/relation_fork.h"

namespace backstay::backup {

using postgres::RelationFork;

/// A value; one thread at a time changes it. It says more than what changed where that is simpler, never less. Only
/// main forks are ever proven unchanged: others change without saying so in the WAL, or are small. Nothing depends on
/// the order in which it is told, because what is new once stays new.
///
/// A page that is not in the map may still differ from the base's copy in what PostgreSQL does not log because it may
/// get lost at any time: hint bits, in clusters that have neither page checksums nor wal_log_hints, and the cache in
/// the first page of SP-GiST indexes. Both copies then name the same LSN; all that a record changes has the record's.
class PageChanges {
 public:
  void note_block(const RelationFork& of, std::uint32_t block);
  /// Everything from `first` on is new: the fork was made (0) or cut off there.
  void note_new_from(const RelationFork& of, std::uint32_t first);
  /// Everything in the database's directory of this tablespace is new.
  void note_new_database(std::uint32_t tablespace, std::uint32_t database);
  void note_new_tablespace(std::uint32_t tablespace);
  /// From now on nothing is proven; the first reason stays. It is for people.
  void note_unproven(const std::string& reason);
  void merge(const PageChanges& other);

  /// Which of the blocks [first, first + count) may have changed, in order. All of them for a fork that is not the main
  /// one, and when unproven() says so.
  [[nodiscard]] std::vector<std::uint32_t> changed(const RelationFork& of, std::uint32_t first,
                                                   std::uint32_t count) const;
  /// The same of one block, of a fork from a block on, and of all that is in a database's directory.
  [[nodiscard]] bool has(const RelationFork& of, std::uint32_t block) const;
  [[nodiscard]] bool is_new_from(const RelationFork& of, std::uint32_t first) const;
  [[nodiscard]] bool has_database(std::uint32_t tablespace, std::uint32_t database) const;
  /// Why nothing is proven unchanged; empty if the map is good.
  [[nodiscard]] const std::string& unproven() const { return unproven_; }
  [[nodiscard]] bool empty() const { return relations_.empty() && databases_.empty() && unproven_.empty(); }
  /// Blocks noted one by one.
  [[nodiscard]] std::uint64_t blocks() const;
  [[nodiscard]] std::uint64_t relations() const { return relations_.size(); }
  /// About how many bytes it takes.
  [[nodiscard]] std::size_t memory() const;

  /// As docs/format/repository.md defines it ("page changes"). Equal maps give equal bytes.
  [[nodiscard]] core::Bytes encode() const;
  /// Throws Error(corrupt_data) for everything that encode() does not write.
  static PageChanges decode(core::ByteSpan bytes);

  bool operator==(const PageChanges& other) const;

 private:
  struct Relation {
    std::uint32_t tablespace = 0;
    std::uint32_t database = 0;
    std::uint32_t relation = 0;
    auto operator<=>(const Relation&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Relation& of) const noexcept;
  };
  /// More than any block's number: nothing is new.
  static constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();
  struct Changed {
    std::uint32_t new_from = kNoLimit;
    BlockSet blocks = {};  // all below new_from
    bool operator==(const Changed&) const = default;
  };
  void note_new_from(Changed& changed, std::uint32_t first);

  std::unordered_map<Relation, Changed, Hash> relations_;
  /// (tablespace, database); (tablespace, 0) is all of the tablespace.
  std::set<std::pair<std::uint32_t, std::uint32_t>> databases_;
  std::string unproven_;
};

}  // namespace backstay::backup
