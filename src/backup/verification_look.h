// Looking at a copy of a backup: what a look needs, and the two kinds of it.
#pragma once

#include <stop_token>

#include "backup/recovery_window.h"
#include "backup/verification_site.h"
#include "backup/verify_restore.h"
#include "repository/records.h"

namespace backstay::backup {

/// All outlive it. For one thread.
struct Look {
  const Environment& environment;
  const VerifyRestoreRequest& request;
  const ProgressCallback& progress;
  const std::stop_token stop;
  const core::SteadyTime begin;
  RestoreProof proof = {};

  [[nodiscard]] core::Duration elapsed() const {
    return std::chrono::duration_cast<core::Duration>(environment.clock.steady_now() - begin);
  }
};

/// Recovers the cluster in the site as the plan says and looks at it: page checksums, and postgres::check_cluster.
void look_at_cluster(Look& look, VerificationSite& site, const RecoveryPlan& plan);

/// Bytes of what a dump becomes, as far as they can be told before.
std::uint64_t bytes_of_loaded(const repository::BackupRecord& dump);
/// Makes a new cluster in the site, loads the dump into it as a recovery would, dumps it again, and compares the two:
/// everything that is listed is there, and so are the rows of each table.
void look_at_dump(Look& look, VerificationSite& site, const repository::BackupRecord& record);

}  // namespace backstay::backup
