// A recovery: from a plan to a promoted server with the requested roles, which nobody could connect to before.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "backup/recovery_window.h"
#include "core/secret.h"
#include "core/time.h"
#include "os/process.h"
#include "postgres/installation.h"
#include "postgres/launcher.h"
#include "postgres/roles.h"

namespace backstay::backup {

/// Where everything of an instance lies, below one directory of its own.
///   data/ tablespaces/<oid>/ recovery/{fetch.sock,wal/,state.json} socket/ log/
struct InstanceLayout {
  std::filesystem::path root;
  [[nodiscard]] std::filesystem::path data() const { return root / "data"; }
  [[nodiscard]] std::filesystem::path tablespaces() const { return root / "tablespaces"; }
  [[nodiscard]] std::filesystem::path recovery() const { return root / "recovery"; }
  [[nodiscard]] std::filesystem::path socket() const { return root / "socket"; }
  [[nodiscard]] std::filesystem::path log() const { return root / "log"; }
};

struct RecoverRequest {
  /// Where the source's backups are.
  repository::Repository& repository;
  RecoveryPlan plan;
  InstanceLayout layout;
  postgres::Installation installation;
  std::optional<os::Identity> identity;
  postgres::Launcher& launcher;
  /// The static program for restore_command.
  std::filesystem::path restore_helper;
  /// Who the application is afterwards; absent: roles, databases and passwords stay as they were in the backup.
  std::optional<postgres::HandOver> hand_over;
  unsigned workers = 2;
  /// Replay that makes no progress for this long is a failure.
  std::chrono::seconds stall_deadline{600};
};

struct RecoverResult {
  postgres::TimelineId timeline;
  postgres::Lsn lsn;
  std::uint64_t file_bytes = 0;
  std::uint64_t wal_bytes = 0;
  core::Duration restore_time{};
  core::Duration replay_time{};
};

/// Restores the files, starts the server closed (private socket, no TCP, configuration rendered here and never taken
/// from the backup), replays to the plan's stop, promotes, hands over, and stops the server again with a clean
/// shutdown: the caller then writes the service's own settings and starts it. Progress phases: "restore", "replay",
/// "promote", "hand_over", "stop".
///
/// Each phase is recorded in recovery/state.json: killed anywhere, a second call with the same plan continues with the
/// phase that was not finished (an unfinished restore begins anew in a cleared directory), and a call after the last
/// one returns the result again. Another plan in the same directory is Error(conflict).
///
/// Throws Error(recovery_failed) with the end of the server's log if the server dies, or ends recovery short of its
/// target. The server is stopped before any throw; the files stay for a retry or for the caller to remove.
RecoverResult recover(const Environment& environment, const RecoverRequest& request, const ProgressCallback& progress,
                      std::stop_token stop);

}  // namespace backstay::backup
