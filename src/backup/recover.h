// A recovery: from a plan to a promoted server with the requested roles, which nobody could connect to before.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "backup/recovery_window.h"
#include "core/secret.h"
#include "core/time.h"
#include "os/process.h"
#include "postgres/installation.h"
#include "postgres/instance_paths.h"
#include "postgres/launcher.h"
#include "postgres/roles.h"
#include "postgres/server_config.h"

namespace backstay::backup {

struct RecoverRequest {
  /// Where the source's backups are.
  repository::Repository& repository;
  RecoveryPlan plan;
  /// The new instance's name for logs, and its own directory; what a recovery leaves there is recovery.json, data,
  /// tablespaces, recovery, socket, config and log.
  std::string name = {};
  postgres::InstancePaths paths;
  postgres::Installation installation;
  std::optional<os::Identity> identity = {};
  postgres::Launcher& launcher;
  /// For the launcher, e.g. limits.
  std::map<std::string, std::string> hints = {};
  postgres::ServerResources resources = {};
  /// The static program for restore_command, absolute.
  std::filesystem::path restore_helper = {};
  /// The superuser that manages the new server, made if it is not in the backup. Without a password the roles stay as
  /// they were.
  std::string management_role{postgres::kManagementRole};
  std::optional<core::Secret> management_password = {};
  /// Who the application is afterwards; absent: roles, databases and passwords stay as they were in the backup. Needs
  /// the management password.
  std::optional<postgres::HandOver> hand_over = {};
  unsigned workers = 4;
  /// A replay that neither takes WAL nor works on what it has for this long is a failure.
  std::chrono::seconds stall_deadline{600};
};

struct RecoverResult {
  /// The timeline that began with the promotion, and where.
  postgres::TimelineId timeline = {};
  postgres::Lsn lsn = {};
  std::uint64_t file_bytes = 0;
  std::uint64_t wal_bytes = 0;
  core::Duration restore_time{};
  core::Duration replay_time{};
};

/// Restores the files, starts the server closed (private socket, no TCP, configuration rendered here and never taken
/// from the backup), replays to the plan's stop, promotes, hands over, and stops the server again with a clean
/// shutdown: the caller then writes the service's own settings and starts it. Progress phases: "restore", "replay",
/// "hand_over", "stop".
///
/// Each phase is recorded in <root>/recovery.json: killed anywhere, a second call with the same plan continues with the
/// phase that was not finished (an unfinished restore begins anew in a cleared directory), and a call after the last
/// one returns the result again. Another plan in the same directory is Error(conflict).
///
/// Throws Error(recovery_failed) with the end of the server's log if the server dies or stalls, or ends recovery short
/// of its target; the store's error, which may be retried, where WAL could not be fetched. The server is stopped before
/// any throw; the files stay for a retry or for the caller to remove.
RecoverResult recover(const Environment& environment, const RecoverRequest& request, const ProgressCallback& progress,
                      std::stop_token stop);

}  // namespace backstay::backup
