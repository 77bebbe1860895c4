// What a backup's record says of what it was taken upon: its details' "incremental".
#pragma once

#include <cstdint>
#include <string>

#include "core/time.h"
#include "repository/records.h"

namespace backstay::backup {

struct IncrementalFacts {
  /// The earlier backup whose bytes in the store stand for what has not changed since; empty for a full one.
  std::string base = {};
  /// How many backups were taken one upon the other since the last full one, this one included; 0 for a full one.
  std::uint32_t depth = 0;
  /// When the last full one began, which is how long ago the oldest bytes may have been read.
  core::Timestamp full_time = {};
  /// Bytes of the cluster's files that were read, and pages taken over without being read.
  std::uint64_t read_bytes = 0;
  std::uint64_t kept_pages = 0;
  /// Of a full one: why nothing was taken over, in words.
  std::string reason = {};
  /// What was found otherwise than the WAL since the base says; empty if nothing was.
  std::string mismatch = {};
  /// How many bytes of the WAL since the base the server's own summaries agree about with the map of changed pages, and
  /// why not about all of them; both empty for a full one.
  std::uint64_t compared_wal = 0;
  std::string not_compared = {};
  /// Whether the cluster's pages carried checksums.
  bool checksums = false;
};

void put_facts(repository::BackupRecord& record, const IncrementalFacts& facts);
/// Of a backup of before there were incremental ones: a full one.
IncrementalFacts facts_of(const repository::BackupRecord& record);

}  // namespace backstay::backup
