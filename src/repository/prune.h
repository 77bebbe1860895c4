// Removing what is not wanted any more, in two steps, and garbage. docs/format/repository.md §13 has the protocol and
// the argument why it is safe without conditional writes and with writers, readers and other pruners at work.
//
//   mark   a backup that is to go gets a mark that names the reason; from then on no list shows it
//          packs that nothing refers to are named in a record, with the writers that were at work then
//   sweep  once a mark is older than the grace: the backup's record, then its manifest, then the mark
//          once a record is older than the grace and its writers are done: those of its packs that still nothing
//          refers to
//   An attempt of which no backup comes, because it failed or another one at the same backup counts, goes likewise.
//
// A run sweeps what is due and marks what is new; a pack goes in the second run after its last backup went. WAL needs
// no mark: it goes when no backup is left that it could be replayed upon, condemned ones included.
//
// Killed at any point, a run is completed by the next one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "core/time.h"
#include "repository/repository.h"

namespace backstay::repository {

/// A backup that is to go, and why, in words.
struct Unwanted {
  std::string instance = {};
  std::string backup = {};
  std::string reason = {};
};

/// WAL that is to go: on `timeline` what lies before `lsn`; on timelines before it what lies before their entry in
/// `earlier`, or all of it. The WAL that a backup needs by itself always stays, and what could be replayed upon a
/// condemned backup stays as long as that does.
struct UnwantedWal {
  std::string instance = {};
  std::uint32_t timeline = UINT32_MAX;
  std::uint64_t lsn = UINT64_MAX;
  std::map<std::uint32_t, std::uint64_t> earlier = {};
  std::string reason = {};
};

struct PruneRequest {
  std::vector<Unwanted> backups = {};
  std::vector<UnwantedWal> wal = {};
  /// Instances of which nothing is wanted once their last backup is gone.
  std::set<std::string> instances = {};
  /// Looks at the backups of these instances only; empty: of all.
  std::set<std::string> only = {};
  /// Looks for packs that nothing refers to, which reads every manifest of the repository. Once a day is enough.
  bool packs = true;
  /// Backups whose attempts are known to be over, though their writer's mark may have stayed.
  std::set<std::string> ended = {};
  /// How long readers that are at work may take.
  core::Duration grace = std::chrono::hours(24);
  /// How much later what a writer sent last may arrive: what an attempt that failed has left waits for it even if no
  /// reader is given any time. For tests, which know that nothing is on its way.
  core::Duration late_write = std::chrono::minutes(15);
  /// Look only.
  bool dry_run = false;
  /// Pack ids held in memory at once, 16 bytes each.
  std::size_t ids_in_memory = std::size_t{4} * 1024 * 1024;
};

enum class PruneAction {
  kCondemnBackup,
  kRemoveBackup,
  kCondemnPacks,
  kRemovePacks,
  kRemoveWal,
  kRemoveInstance,
  kWait
};
/// "condemn backup", …: stable words.
std::string_view to_text(PruneAction action);

/// One thing that was done (with dry_run: would be), or that waits.
struct PruneStep {
  PruneAction action = PruneAction::kWait;
  std::string object = {};
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
  std::string why = {};
};

struct PruneReport {
  std::vector<PruneStep> steps = {};
  std::uint64_t objects_removed = 0;
  std::uint64_t bytes_removed = 0;
  /// Backups whose last object went in this run.
  std::vector<std::string> backups_removed = {};
  /// Backups that are hidden until a later run removes them.
  std::set<std::string> backups_condemned = {};
};

/// What the store's clock says: a small object is written, looked at and removed.
core::Timestamp store_time(Repository& repository);

/// True if no instance and no pack is left in it.
bool is_empty(Repository& repository);

/// Throws the store's errors and cancelled; what cannot be judged because it is damaged stays, and a step says so.
/// With dry_run nothing is written, and the store's clock is taken to be this machine's.
PruneReport prune(Repository& repository, const PruneRequest& request, std::stop_token stop);

}  // namespace backstay::repository
