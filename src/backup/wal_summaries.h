// Looks whether the map of changed pages has all that the server's own summaries of its WAL name (PostgreSQL 17 and
// later, with summarize_wal on).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/change_collector.h"
#include "backup/environment.h"
#include "backup/page_changes.h"
#include "postgres/connection.h"

namespace backstay::backup {

struct SummaryQuestion {
  postgres::ConnectionTarget connection = {};
  std::filesystem::path data_directory = {};
  BranchPoint from = {};
  BranchPoint to = {};
  /// A summary file above it would take the server too much room to read.
  std::uint64_t largest_file = 256U << 10;
};

struct SummaryAnswer {
  /// How much of the WAL between the two points, in bytes, was compared, and why the rest was not; empty if all was.
  std::uint64_t compared = 0;
  std::string not_compared = {};
  /// What the first summary names that the map does not have; empty if there is nothing.
  std::string missing = {};
};

/// Compares summaries that lie wholly between the two points, on the timeline of the second. The map is only ever
/// widened: of a relation that is gone, as after a drop, it need not say so, and the summaries do not tell a drop from
/// a creation. Takes no more than some seconds. Throws cancelled; what the server does not answer is not compared.
SummaryAnswer compare_with_summaries(const Environment& environment, const SummaryQuestion& question,
                                     PageChanges& changes, std::stop_token stop);

/// How many bytes of WAL the server keeps for no other reason than that it has not summarised them; nothing if it is
/// not to make summaries. It frees none of them itself, whatever its limit of WAL that is kept for others.
std::optional<std::uint64_t> wal_kept_for_summaries(postgres::Connection& connection);

}  // namespace backstay::backup
