// Private to repository: what a prune sees of the backups of a repository.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/time.h"
#include "repository/container_format.h"
#include "repository/prune.h"
#include "repository/repository.h"

namespace backstay::repository::detail {

/// Which of its objects an attempt at a backup has, by one listing.
struct AttemptObjects {
  bool record = false;
  bool manifest = false;
  bool condemned = false;
  bool marked = false;                // by its writer
  core::Timestamp condemned_at = {};  // by the store's clock, as are the next two
  core::Timestamp manifest_at = {};
  core::Timestamp marked_at = {};
  std::uint64_t manifest_size = 0;
  friend bool operator==(const AttemptObjects&, const AttemptObjects&) = default;
};

struct BackupObjects {
  std::string instance = {};
  std::string backup = {};
  /// As a whole.
  bool condemned = false;
  core::Timestamp condemned_at = {};
  std::map<ObjectId, AttemptObjects> attempts = {};
  friend bool operator==(const BackupObjects&, const BackupObjects&) = default;

  /// A record or a manifest of any attempt.
  [[nodiscard]] bool has_content() const;
  /// The attempt has a record, and nothing says that it is to go.
  [[nodiscard]] bool counts(const ObjectId& attempt) const;
  [[nodiscard]] ObjectName record(const ObjectId& attempt) const {
    return backup_record_name(instance, backup, attempt);
  }
  [[nodiscard]] ObjectName manifest(const ObjectId& attempt) const { return manifest_name(instance, backup, attempt); }
};

/// The content of "condemned", of a backup or of an attempt.
struct CondemnedMark {
  core::Timestamp condemned = {};
  std::string reason = {};
};
void put_condemned(Repository& repository, const ObjectName& name, const std::string& reason);
/// Nothing if it is gone. Throws corrupt_data.
std::optional<CondemnedMark> get_condemned(Repository& repository, const ObjectName& name);

/// Ages by two clocks: this machine's for times in contents, the store's for times of objects.
struct Clocks {
  core::Timestamp here = {};
  core::Timestamp store = {};
  /// The smaller of the two ages.
  [[nodiscard]] core::Duration age(core::Timestamp by_content, core::Timestamp by_store) const;
};

/// One run: what all of its parts work with.
struct PruneWorld {
  Repository& repository;
  const PruneRequest& request;
  std::stop_token stop = {};
  Clocks clocks = {};
  /// The object that the store's clock was asked with; empty with dry_run.
  std::string clock_key = {};
  /// By instance and backup: what the listings of this run have shown and the run has not removed.
  std::map<std::pair<std::string, std::string>, BackupObjects> seen = {};
  PruneReport report = {};

  void note(PruneAction action, std::string object, std::uint64_t objects, std::uint64_t bytes, std::string why);
  void wait(std::string object, std::string why);
  /// Removes them, a few hundred at a time, unless this is a dry run. Throws cancelled between two requests.
  void remove(const std::vector<std::string>& keys) const;
};

/// The backups of these instances, or of every one if there are none, in key order. A record or manifest that an
/// earlier listing of the run has shown is there whatever this one says: a store's list may be older than the one
/// before it, and the marks of writers are asked for in another list than what they wrote.
std::vector<BackupObjects> list_backups(PruneWorld& world, const std::set<std::string>& only = {});

/// Writes a small object, which is to be removed again, to learn what time the store stamps it with.
struct StoreTime {
  std::string key = {};
  core::Timestamp time = {};
};
StoreTime ask_store(Repository& repository);

/// The attempts at backups of these instances, or of every one, that are being written. Marks that a crash left behind
/// are removed.
std::set<ObjectId> live_writers(PruneWorld& world, const std::set<std::string>& only = {});

/// A pack and its size in the store.
struct PackObject {
  ObjectId id{};
  std::uint64_t size = 0;
};
/// Takes out what any manifest refers to; manifests are listed anew. `packs` must be sorted by id and stays so. Throws
/// corrupt_data, naming it, for a manifest that cannot be read.
void keep_unreferenced(PruneWorld& world, std::vector<PackObject>& packs);

}  // namespace backstay::repository::detail
