// global/pg_control: what the cluster is and where its WAL stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/bytes.h"
#include "core/time.h"
#include "postgres/lsn.h"

namespace backstay::postgres {

inline constexpr std::string_view kControlFilePath = "global/pg_control";
/// More than any version's has.
inline constexpr std::size_t kControlFileLimit = 64 * 1024;

enum class ClusterState : std::uint32_t {
  kStartup = 0,
  kShutDown = 1,
  kShutDownInRecovery = 2,
  kShuttingDown = 3,
  kCrashRecovery = 4,
  kArchiveRecovery = 5,
  kProduction = 6,
};

/// Settings that must be at least as large where the cluster's WAL is replayed.
struct ReplayLimits {
  int max_connections = 0;
  int max_worker_processes = 0;
  int max_wal_senders = 0;
  int max_prepared_transactions = 0;
  int max_locks_per_transaction = 0;
};

struct ControlFile {
  std::uint64_t system_identifier = 0;
  std::uint32_t version = 0;
  std::uint32_t catalog_version = 0;
  ClusterState state = ClusterState::kStartup;
  core::Timestamp written;  ///< to the second
  Lsn checkpoint;
  Lsn checkpoint_redo;
  TimelineId checkpoint_timeline;
  core::Timestamp checkpoint_time;  ///< to the second
  Lsn min_recovery_point;
  TimelineId min_recovery_timeline;
  Lsn backup_start;
  Lsn backup_end;
  bool backup_end_required = false;
  ReplayLimits limits;
  std::uint32_t block_size = 0;
  std::uint32_t relation_segment_blocks = 0;
  std::uint32_t wal_segment_size = 0;
  std::uint32_t data_checksum_version = 0;  ///< 0: the cluster has no page checksums
};

/// Reads the file's bytes (PostgreSQL 13 to 18). Throws Error(corrupt_data) if its checksum does not hold, as happens
/// when it is read while it is written, or if a time in it is none, and Error(unsupported_format) for another version.
ControlFile parse_control_file(core::ByteSpan bytes);

}  // namespace backstay::postgres
