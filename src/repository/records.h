// The small sealed objects: what an instance is, and what is known of a backup.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json.h"
#include "core/time.h"
#include "repository/container_format.h"

namespace backstay::repository {

/// Where an instance came from, if it was recovered from another one.
struct Branch {
  std::string instance = {};
  std::uint32_t timeline = 0;
  std::uint64_t lsn = 0;
};

struct InstanceRecord {
  std::string instance = {};
  std::string service = {};
  std::string service_name = {};
  std::string provider = {};
  std::uint32_t postgres_major = 0;
  std::uint64_t system_identifier = 0;
  std::uint64_t wal_segment_size = 16 * 1024 * 1024;
  core::Timestamp created = {};
  std::optional<Branch> branched_from = {};
  /// Whatever the provider wants to find again on a new machine; never a secret.
  core::json::object details = {};
};

/// A backup is stored exactly when its record exists. The four facts are times: nothing means "not (yet)".
struct BackupRecord {
  std::string backup = {};
  std::string instance = {};
  std::string mechanism = "physical";
  std::string origin = "manual";
  std::string label = {};

  std::optional<core::Timestamp> taken = {};
  std::optional<core::Timestamp> stored = {};
  std::optional<core::Timestamp> confirmed = {};
  std::optional<core::Timestamp> verified = {};
  /// What the last reading of it found, if it failed; empty if all is well.
  std::string problem = {};
  /// What the last restore of it found, if it did not work; empty if all is well, or nobody tried.
  std::string restore_problem = {};
  /// How long the recovery that verified it took, and how long it was until the first query was answered.
  std::optional<core::Duration> recovery_time = {};
  std::optional<core::Duration> first_query_time = {};

  std::string postgres_version = {};
  std::uint64_t system_identifier = 0;
  std::uint64_t wal_segment_size = 16 * 1024 * 1024;
  /// The timeline it was taken on; WAL from start_lsn to stop_lsn is needed to make it consistent.
  std::uint32_t timeline = 0;
  std::uint64_t start_lsn = 0;
  std::uint64_t stop_lsn = 0;
  core::Timestamp start_time = {};
  core::Timestamp stop_time = {};

  std::uint64_t file_count = 0;
  std::uint64_t data_size = 0;    // bytes of the files
  std::uint64_t stored_size = 0;  // bytes of the packs and the manifest
  std::uint64_t pages_checked = 0;
  std::uint64_t pages_failed = 0;
  /// The attempt that this is the record of: it is in the names of what only this attempt has written.
  ObjectId attempt{};
  /// The id of the manifest that belongs to this record.
  ObjectId manifest_id{};
  core::json::object details = {};
};

/// It was read back, and neither a later reading nor a restore has found anything.
bool is_sound(const BackupRecord& record);

/// Which of two attempts at one backup counts, if both are stored: true if that is `b`. One that was believed dead may
/// become stored after the next one has; that began later, and so nothing that it needs has been let go of.
bool gives_way(const BackupRecord& a, const BackupRecord& b);

core::json::object to_json(const InstanceRecord& record);
core::json::object to_json(const BackupRecord& record);
/// Unknown fields are ignored. Throws Error(corrupt_data) for a missing or wrong one.
InstanceRecord instance_record_from_json(const core::json::value& value);
BackupRecord backup_record_from_json(const core::json::value& value);

}  // namespace backstay::repository
