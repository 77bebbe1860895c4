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

using detail::AttemptObjects;
using detail::BackupObjects;

constexpr std::string_view kBeingWritten = "it is being written";

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
    condemn_attempts();
    for (const UnwantedWal& wal : world_.request.wal) prune_wal(wal);
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

  void prune_wal(const UnwantedWal& wal) {
    detail::prune_wal(world_, wal, backups_, live_in(wal.instance) || ended_just_now_in(wal.instance));
  }

  std::set<ObjectId> writers() { return detail::live_writers(world_, world_.request.only); }

  /// Whose marks are gone by now has written its record, or never will: the list of backups comes second.
  void look_again() {
    live_ = writers();
    if (world_.request.dry_run) return;
    backups_ = detail::list_backups(world_, world_.request.only);
  }

  [[nodiscard]] bool is_live(const BackupObjects& backup) const {
    return std::ranges::any_of(backup.attempts, [&](const auto& entry) { return live_.contains(entry.first); });
  }

  [[nodiscard]] bool live_in(const std::string& instance) const {
    return std::ranges::any_of(backups_, [&](const auto& b) { return b.instance == instance && is_live(b); });
  }

  /// An attempt that died at its end may become stored yet: what it sent last may be on its way.
  [[nodiscard]] bool ended_just_now_in(const std::string& instance) const {
    return std::ranges::any_of(backups_, [&](const BackupObjects& backup) {
      return backup.instance == instance && !backup.condemned &&
             std::ranges::any_of(backup.attempts, [&](const auto& entry) {
               return is_left_over(entry.second) && is_young(entry.second);
             });
    });
  }

  static bool is_left_over(const AttemptObjects& attempt) {
    return attempt.manifest && !attempt.record && !attempt.condemned;
  }
  [[nodiscard]] bool is_young(const AttemptObjects& attempt) const {
    return world_.clocks.store - attempt.manifest_at < world_.request.grace;
  }

  static std::string title(const std::string& instance, const std::string& backup) {
    return fmt::format("backup {} of instance {}", backup, instance);
  }
  static std::string title(const BackupObjects& backup, const ObjectId& attempt) {
    return fmt::format("attempt {} at {}", format_object_id(attempt), title(backup.instance, backup.backup));
  }

  void sweep(BackupObjects& backup) {
    if (backup.condemned) {
      const auto name = condemned_name(backup.instance, backup.backup);
      const std::string what = title(backup.instance, backup.backup);
      const auto busy = is_live(backup)       ? kBeingWritten
                        : may_be_base(backup) ? std::string_view("a backup that began before may be taken upon it")
                                              : std::string_view();
      const bool all_stored = std::ranges::all_of(backup.attempts, [](const auto& a) { return a.second.record; });
      const auto wait = all_stored ? world_.request.grace : late_grace();
      if (const auto why = is_due(what, name, backup.condemned_at, wait, busy)) remove_backup(backup, *why);
      return;
    }
    for (auto& [id, attempt] : backup.attempts) {
      if (!attempt.condemned) continue;
      const auto name = condemned_name(backup.instance, backup.backup, id);
      const auto busy = live_.contains(id) ? kBeingWritten : std::string_view();
      if (const auto why = is_due(title(backup, id), name, attempt.condemned_at, late_grace(), busy)) {
        remove_attempt(backup, id, *why);
      }
    }
  }

  /// A writer that put its mark before this one was condemned may take bytes over from it, and reads its manifest
  /// while it copies. Both times are the store's; if they are wrong that writer copies more, or fails, and nothing
  /// worse.
  [[nodiscard]] bool may_be_base(const BackupObjects& condemned) const {
    return std::ranges::any_of(backups_, [&](const BackupObjects& other) {
      return other.instance == condemned.instance && std::ranges::any_of(other.attempts, [&](const auto& entry) {
               return live_.contains(entry.first) && entry.second.marked_at <= condemned.condemned_at;
             });
    });
  }

  /// Its mark stays for as long as a record may arrive that it has to keep from counting.
  [[nodiscard]] core::Duration late_grace() const { return std::max(world_.request.grace, world_.request.late_write); }

  /// Why it was condemned, if its time has come; else says what it waits for.
  std::optional<std::string> is_due(const std::string& what, const ObjectName& name, core::Timestamp condemned_at,
                                    core::Duration grace, std::string_view busy) {
    try {
      const auto mark = detail::get_condemned(world_.repository, name);
      if (!mark) return std::nullopt;
      const core::Duration age = world_.clocks.age(mark->condemned, condemned_at);
      if (age >= grace && busy.empty()) return mark->reason;
      world_.wait(what, !busy.empty() ? std::string(busy)
                                      : fmt::format("{}; it is removed after {}", mark->reason,
                                                    core::format_duration(grace - age)));
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      world_.wait(what, error.message());
    }
    return std::nullopt;
  }

  /// In this order, so that a sweep that was killed finds the mark and goes on.
  void remove_backup(BackupObjects& backup, const std::string& reason) {
    std::vector<std::string> records;
    std::vector<std::string> manifests;
    std::vector<std::string> marks;
    std::uint64_t bytes = 0;
    for (const auto& [id, attempt] : backup.attempts) {
      if (attempt.record) records.push_back(backup.record(id).key);
      if (attempt.manifest) manifests.push_back(backup.manifest(id).key);
      if (attempt.condemned) marks.push_back(condemned_name(backup.instance, backup.backup, id).key);
      if (attempt.marked) marks.push_back(writer_mark_name(backup.instance, backup.backup, id).key);
      bytes += attempt.manifest_size;
    }
    world_.note(PruneAction::kRemoveBackup, title(backup.instance, backup.backup),
                records.size() + manifests.size() + marks.size() + 1, bytes, reason);
    world_.remove(records);
    world_.remove(manifests);
    world_.remove(marks);
    world_.remove({condemned_name(backup.instance, backup.backup).key});
    world_.report.backups_removed.push_back(backup.backup);
    world_.seen.erase({backup.instance, backup.backup});
    backup = {.instance = backup.instance, .backup = backup.backup};
  }

  void remove_attempt(BackupObjects& backup, const ObjectId& id, const std::string& reason) {
    AttemptObjects& attempt = backup.attempts[id];
    world_.note(PruneAction::kRemoveBackup, title(backup, id),
                std::uint64_t{attempt.record} + std::uint64_t{attempt.manifest} + 1, attempt.manifest_size, reason);
    world_.remove({backup.record(id).key});
    world_.remove({backup.manifest(id).key});
    world_.remove({condemned_name(backup.instance, backup.backup, id).key});
    world_.seen[{backup.instance, backup.backup}].attempts.erase(id);
    attempt = {};
  }

  [[nodiscard]] bool is_there(const ObjectName& name) const {
    return world_.repository.store().head(name.key).has_value();
  }

  void condemn(const Unwanted& unwanted) {
    const auto at = std::ranges::find_if(backups_, [&](const BackupObjects& backup) {
      return backup.instance == unwanted.instance && backup.backup == unwanted.backup;
    });
    if (at == backups_.end() || at->condemned || !at->has_content()) return;
    const std::string what = title(unwanted.instance, unwanted.backup);
    if (is_live(*at)) return world_.wait(what, "it is being written");
    world_.note(PruneAction::kCondemnBackup, what, 1, stored_size(unwanted), unwanted.reason);
    at->condemned = true;
    if (world_.request.dry_run) return;
    detail::put_condemned(world_.repository, condemned_name(unwanted.instance, unwanted.backup), unwanted.reason);
  }

  void condemn(BackupObjects& backup, const ObjectId& id, const std::string& reason) {
    AttemptObjects& attempt = backup.attempts[id];
    world_.note(PruneAction::kCondemnBackup, title(backup, id), 1, attempt.manifest_size, reason);
    attempt.condemned = true;
    if (world_.request.dry_run) return;
    detail::put_condemned(world_.repository, condemned_name(backup.instance, backup.backup, id), reason);
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

  /// Attempts of which no backup will come: those that left a manifest and no record, and those that another one at the
  /// same backup has overtaken.
  void condemn_attempts() {
    const bool any = std::ranges::any_of(backups_, [&](const BackupObjects& backup) {
      return std::ranges::any_of(
          backup.attempts, [&](const auto& entry) { return is_left_over(entry.second) && !is_young(entry.second); });
    });
    // The writers in live_ were listed before the manifests, so they are asked once more, for this alone: what is
    // decided after it by the records that are in backups_ rests on those that were asked before them.
    const std::set<ObjectId> now = any ? writers() : live_;
    for (BackupObjects& backup : backups_) {
      if (backup.condemned) continue;
      for (auto& [id, attempt] : backup.attempts) {
        if (!is_left_over(attempt) || is_young(attempt) || now.contains(id)) continue;
        // Its mark is gone: from now on its writer says no more that it is stored.
        attempt.record = is_there(backup.record(id));
        if (!attempt.record) condemn(backup, id, "an attempt that failed left it behind");
      }
      condemn_overtaken(backup);
    }
  }

  void condemn_overtaken(BackupObjects& backup) {
    const auto counts_yet = [&](const auto& entry) { return backup.counts(entry.first); };
    if (std::ranges::count_if(backup.attempts, counts_yet) < 2) return;
    std::vector<BackupRecord> records;
    for (auto& entry : backup.attempts) {
      if (!counts_yet(entry)) continue;
      // A listing in pages may show a new record without the manifest that came before it.
      entry.second.manifest = entry.second.manifest || is_there(backup.manifest(entry.first));
      try {
        auto record = world_.repository.backup(backup.instance, backup.backup, entry.first);
        if (record) records.push_back(std::move(*record));
      } catch (const core::Error& error) {
        if (!detail::is_damaged(error)) throw;
      }
    }
    const auto counts = std::ranges::max_element(records, [&](const BackupRecord& a, const BackupRecord& b) {
      const auto whole = [&](const BackupRecord& record) { return backup.attempts[record.attempt].manifest; };
      return whole(a) != whole(b) ? whole(b) : gives_way(a, b);
    });
    for (const BackupRecord& record : records) {
      if (record.attempt == counts->attempt || live_.contains(record.attempt)) continue;
      condemn(backup, record.attempt, "another attempt at the same backup is stored");
    }
  }

  void remove_instance(const std::string& instance) {
    const bool kept = std::ranges::any_of(backups_, [&](const BackupObjects& backup) {
      return backup.instance == instance && (backup.condemned || backup.has_content());
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
  std::set<ObjectId> live_;
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
