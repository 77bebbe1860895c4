#include "repository/prune.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/json_fields.h"
#include "repository/prune_packs.h"
#include "repository/prune_survey.h"
#include "repository/prune_wal.h"

namespace backstay::repository {
namespace {

using detail::BackupObjects;

class Pruner {
 public:
  Pruner(Repository& repository, const PruneRequest& request, std::stop_token stop)
      : world_{.repository = repository, .request = request, .stop = std::move(stop)} {}

  PruneReport run() {
    ask_clocks();
    live_ = writers();
    backups_ = detail::list_backups(world_, world_.request.only);
    for (BackupObjects& backup : backups_) sweep(backup);
    for (const Unwanted& unwanted : world_.request.backups) condemn(unwanted);
    look_again();
    condemn_failed_attempts();
    for (const UnwantedWal& wal : world_.request.wal) detail::prune_wal(world_, wal, backups_, live_in(wal.instance));
    for (const std::string& instance : world_.request.instances) remove_instance(instance);
    if (world_.request.packs) detail::prune_packs(world_);
    for (const BackupObjects& backup : backups_) {
      if (backup.condemned) world_.report.backups_condemned.insert(backup.backup);
    }
    if (!world_.clock_key.empty()) world_.remove({world_.clock_key});
    return std::move(world_.report);
  }

 private:
  void ask_clocks() {
    world_.clocks.here = world_.repository.clock().now();
    world_.clocks.store = world_.clocks.here;
    if (world_.request.dry_run) return;
    const auto asked = detail::ask_store(world_.repository);
    world_.clock_key = asked.key;
    world_.clocks.store = asked.time;
  }

  std::set<std::string> writers() { return detail::live_writers(world_, world_.request.only); }

  /// Whose marks are gone by now has written its record, or never will: the list of backups comes second.
  void look_again() {
    live_ = writers();
    if (world_.request.dry_run) return;
    backups_ = detail::list_backups(world_, world_.request.only);
  }

  [[nodiscard]] bool live_in(const std::string& instance) const {
    return std::ranges::any_of(backups_,
                               [&](const auto& b) { return b.instance == instance && live_.contains(b.backup); });
  }

  static std::string title(const std::string& instance, const std::string& backup) {
    return fmt::format("backup {} of instance {}", backup, instance);
  }

  void sweep(BackupObjects& backup) {
    if (!backup.condemned) return;
    const std::string what = title(backup.instance, backup.backup);
    try {
      const auto mark = detail::get_condemned(world_.repository, backup);
      if (!mark) return;
      if (mark->attempt && is_there(backup_record_name(backup.instance, backup.backup))) return withdraw(backup);
      const core::Duration age = world_.clocks.age(mark->condemned, backup.condemned_at);
      if (age < world_.request.grace) {
        world_.wait(what, fmt::format("{}; it is removed after {}", mark->reason,
                                      core::format_duration(world_.request.grace - age)));
      } else if (live_.contains(backup.backup)) {
        world_.wait(what, "it is being written");
      } else {
        remove_backup(backup, mark->reason);
      }
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      world_.wait(what, error.message());
    }
  }

  /// In this order, so that a sweep that was killed finds the mark and goes on.
  void remove_backup(BackupObjects& backup, const std::string& reason) {
    const ObjectName record = backup_record_name(backup.instance, backup.backup);
    const ObjectName manifest = manifest_name(backup.instance, backup.backup);
    std::uint64_t bytes = 0;
    if (const auto object = world_.repository.store().head(manifest.key)) bytes = object->size;
    world_.note(PruneAction::kRemoveBackup, title(backup.instance, backup.backup),
                std::uint64_t{backup.record} + std::uint64_t{backup.manifest} + 1, bytes, reason);
    world_.remove({record.key});
    world_.remove({manifest.key});
    world_.remove({condemned_name(backup.instance, backup.backup).key});
    world_.report.backups_removed.push_back(backup.backup);
    backup.record = backup.manifest = backup.condemned = false;
    world_.seen.erase({backup.instance, backup.backup});
  }

  [[nodiscard]] bool is_there(const ObjectName& name) const {
    return world_.repository.store().head(name.key).has_value();
  }

  void withdraw(BackupObjects& backup) {
    world_.wait(title(backup.instance, backup.backup), "an attempt at it failed, and another one followed: it stays");
    world_.remove({condemned_name(backup.instance, backup.backup).key});
    backup.condemned = false;
  }

  void condemn(const Unwanted& unwanted, bool attempt = false) {
    const auto at = std::ranges::find_if(backups_, [&](const BackupObjects& backup) {
      return backup.instance == unwanted.instance && backup.backup == unwanted.backup;
    });
    if (at == backups_.end() || at->condemned || (!at->record && !at->manifest)) return;
    const std::string what = title(unwanted.instance, unwanted.backup);
    if (live_.contains(unwanted.backup)) {
      world_.wait(what, "it is being written");
      return;
    }
    world_.note(PruneAction::kCondemnBackup, what, 1, stored_size(unwanted), unwanted.reason);
    at->condemned = true;
    if (world_.request.dry_run) return;
    detail::put_condemned(world_.repository, unwanted.instance, unwanted.backup, unwanted.reason, attempt);
  }

  /// What it takes with the packs that it may share; 0 if its record does not tell.
  [[nodiscard]] std::uint64_t stored_size(const Unwanted& unwanted) const {
    try {
      const auto record = world_.repository.backup(unwanted.instance, unwanted.backup);
      return record ? record->stored_size : 0;
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      return 0;
    }
  }

  /// A manifest without a record whose writer is gone. The writers were listed before the manifests here, so both are
  /// asked once more.
  void condemn_failed_attempts() {
    std::vector<BackupObjects*> left;
    for (BackupObjects& backup : backups_) {
      const bool failed = backup.manifest && !backup.record && !backup.condemned;
      if (failed && world_.clocks.store - backup.manifest_at >= world_.request.grace) left.push_back(&backup);
    }
    if (left.empty()) return;
    live_ = writers();
    for (BackupObjects* backup : left) {
      if (is_there(backup_record_name(backup->instance, backup->backup))) continue;
      condemn({backup->instance, backup->backup, "an attempt that failed left it behind"}, true);
      // Another attempt may have begun since. It looks for our mark before it writes its record, so one of us sees the
      // other.
      if (backup->condemned && !world_.request.dry_run && taken_up_again(*backup)) withdraw(*backup);
    }
  }

  [[nodiscard]] bool taken_up_again(const BackupObjects& backup) const {
    return is_there(writer_mark_name(backup.instance, backup.backup)) ||
           is_there(backup_record_name(backup.instance, backup.backup));
  }

  void remove_instance(const std::string& instance) {
    const bool kept = std::ranges::any_of(backups_, [&](const BackupObjects& backup) {
      return backup.instance == instance && (backup.record || backup.manifest || backup.condemned);
    });
    if (kept || live_in(instance)) return world_.wait("instance " + instance, "backups of it are left");
    const std::string record = instance_record_name(instance).key;
    std::uint64_t bytes = 0;
    std::vector<std::string> keys;
    world_.repository.store().list(fmt::format("{}{}/", instances_prefix(), instance), "", [&](const auto& object) {
      if (object.key != record) keys.push_back(object.key);
      bytes += object.size;
      return true;
    });
    if (bytes == 0) return;
    world_.note(PruneAction::kRemoveInstance, "instance " + instance, keys.size() + 1, bytes,
                "nothing of it is wanted any more");
    world_.remove(keys);
    world_.remove({record});
  }

  detail::PruneWorld world_;
  std::set<std::string> live_;
  std::vector<BackupObjects> backups_;
};

}  // namespace

std::string_view to_text(PruneAction action) {
  switch (action) {
    case PruneAction::kCondemnBackup: return "condemn backup";
    case PruneAction::kRemoveBackup: return "remove backup";
    case PruneAction::kCondemnPacks: return "condemn packs";
    case PruneAction::kRemovePacks: return "remove packs";
    case PruneAction::kRemoveWal: return "remove WAL";
    case PruneAction::kRemoveInstance: return "remove instance";
    case PruneAction::kWait: return "wait";
  }
  return "";
}

core::Timestamp store_time(Repository& repository) {
  const auto asked = detail::ask_store(repository);
  repository.store().remove(std::vector<std::string>{asked.key});
  return asked.time;
}

bool is_empty(Repository& repository) {
  bool empty = true;
  for (const std::string& prefix : {instances_prefix(), std::string("packs/")}) {
    repository.store().list(prefix, "", [&](const auto&) {
      empty = false;
      return false;
    });
  }
  return empty;
}

PruneReport prune(Repository& repository, const PruneRequest& request, std::stop_token stop) {
  return Pruner(repository, request, std::move(stop)).run();
}

}  // namespace backstay::repository
