// Looks at a whole running server that nobody else uses: whether what its files hold is a database.
//
// By SQL alone, so that it works for every version without client programs. It is for a copy that is thrown away: it
// opens every database to connections and makes the extension amcheck where it is missing.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "postgres/roles.h"

namespace backstay::postgres {

/// A page whose checksum does not hold, by its file below the data directory.
struct DamagedBlock {
  std::string file;
  std::uint32_t block = 0;
};

/// The damaged pages of one directory: of a database in one tablespace, or of "global".
struct DamagedDirectory {
  /// Only some of them are named.
  std::vector<DamagedBlock> first;
  std::uint64_t count = 0;
};

struct ClusterChecks {
  std::uint64_t databases = 0;
  /// Tables, indexes, sequences …: what has a file of its own.
  std::uint64_t relations = 0;
  /// Looked at by amcheck.
  std::uint64_t tables = 0;
  std::uint64_t indexes = 0;
  /// Of the tables that were sampled: what the source's statistics say, and what a sample of the copy says.
  double rows_expected = 0;
  double rows_estimated = 0;
  /// What is damaged, in words, each naming its object; only the first are kept.
  std::vector<std::string> problems;
  std::uint64_t problem_count = 0;
  /// What was not looked at, and what is merely odd.
  std::vector<std::string> notes;
};

struct ClusterCheckRequest {
  /// A superuser's connections, which end with the stop.
  ConnectTo connect;
  std::vector<DamagedDirectory> damaged;
  /// Called with how many relations of how many have been looked at, of one database after the other.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  /// For all of it; what there is no time for is noted.
  std::chrono::milliseconds deadline{std::chrono::hours(6)};
};

/// Every database can be entered; every relation has its file, which is not shorter than the source knew it to be;
/// amcheck finds nothing in heaps and B-trees (and, without user-defined expressions, no row is missing in an index);
/// row estimates are what the statistics say (only noted, since rows may be deleted at any time). Damaged pages are
/// named by the relation that they are of, and those that no database has are a problem too. The databases' event
/// triggers are turned off first.
///
/// What the server says of what it looks at is a problem. Throws Error where nothing can be said: cancelled on a stop,
/// database_unavailable if the server has gone or lacks memory, disk_full, what `progress` throws. What was found by
/// then is in `checks`.
void check_cluster(const ClusterCheckRequest& request, ClusterChecks& checks, std::stop_token stop);

/// True if a server's words are about the machine that it runs on: no room, no memory, or its process was killed.
bool blames_machine(std::string_view words);

}  // namespace backstay::postgres
