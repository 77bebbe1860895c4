// Seeing that a backup works: it is restored to a place of its own, recovered, looked at and thrown away.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "backup/environment.h"
#include "backup/scratch.h"
#include "os/process.h"
#include "postgres/cluster_checks.h"
#include "postgres/installation.h"
#include "postgres/launcher.h"
#include "postgres/roles.h"
#include "postgres/server_config.h"
#include "repository/repository.h"

namespace backstay::backup {

struct VerifyRestoreRequest {
  repository::Repository& repository;
  std::string instance = {};
  std::string backup_id = {};
  /// Where the copy lies while it is looked at.
  ScratchSpace scratch = {};
  postgres::Installation installation = {};
  /// Who the copy's server runs as; nobody else does. The caller itself if absent.
  std::optional<os::Identity> identity = {};
  postgres::Launcher& launcher;
  postgres::ServerResources resources = {};
  /// The static program for restore_command, absolute.
  std::filesystem::path restore_helper = {};
  /// Ends whatever the copy's server left running; called before its files are removed.
  std::function<void()> end_processes = {};
  /// Of a dump: the role that it becomes the property of, and its database, as a recovery would make them.
  postgres::Access access = {};
  unsigned workers = 2;
};

struct RestoreProof {
  /// What is wrong, each naming its object; only the first are kept. Empty: the restored copy works.
  std::vector<std::string> problems = {};
  std::uint64_t problem_count = 0;
  /// From the beginning: until the restored server had answered a query, and until it served as after a recovery.
  std::optional<core::Duration> first_query_time = {};
  std::optional<core::Duration> recovery_time = {};
  std::uint64_t pages = 0;
  postgres::ClusterChecks checks = {};
};

/// Restores the backup, recovers it to its own consistent point as a recovery would, and looks at the copy: page
/// checksums of all its files, and what postgres::check_cluster looks at. A dump is loaded into a new cluster, which is
/// dumped again: all that was listed must be listed, with the same rows. The backup's record in the repository is told
/// (*verified* with the times, or restore_problem). Nothing of the copy is left, whatever happens; what a crash leaves,
/// clear_restores removes.
///
/// What is wrong with the backup is in the answer. Throws Error where that cannot be said: not_found if it is not
/// stored, conflict if it was removed or taken once more meanwhile, not_supported for a dump without the programs to
/// load it, disk_full before anything is written or as soon as the reserve is touched, unavailable if the machine ended
/// the copy's server, cancelled on stop, the store's errors. Progress phases: those of a recovery, then "pages" (bytes)
/// and "check" (relations); of a dump "restore", "load", "dump" and "check" (bytes).
RestoreProof verify_restore(const Environment& environment, const VerifyRestoreRequest& request,
                            const ProgressCallback& progress, std::stop_token stop);

/// Ends and removes what a process that was killed left in the scratch space. `end_processes_of` is called with the
/// user of each copy's server. Only while nobody works there.
void clear_restores(const Environment& environment, const std::filesystem::path& parent,
                    const std::function<void(uid_t)>& end_processes_of);

}  // namespace backstay::backup
