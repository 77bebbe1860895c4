#include "repository/prune_survey.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/json_fields.h"
#include "repository/manifest.h"
#include "repository/object_keys.h"
#include "repository/prune_packs.h"
#include "repository/writer_mark.h"

namespace backstay::repository::detail {
namespace {

/// Clocks of two machines may be apart, and what a writer does after its last check takes time.
constexpr core::Duration kMarkMargin = std::chrono::hours(24);

void note(BackupObjects& backup, const ObjectKey& key, const blob::ObjectInfo& object) {
  if (!key.attempt) {
    backup.condemned = true;
    backup.condemned_at = object.modified;
    return;
  }
  AttemptObjects& attempt = backup.attempts[*key.attempt];
  switch (key.kind) {
    case Kind::kBackupRecord: attempt.record = true; break;
    case Kind::kManifest:
      attempt.manifest = true;
      attempt.manifest_at = object.modified;
      attempt.manifest_size = object.size;
      break;
    case Kind::kCondemned:
      attempt.condemned = true;
      attempt.condemned_at = object.modified;
      break;
    default:
      attempt.marked = true;
      attempt.marked_at = object.modified;
      break;
  }
}

void list_instance(PruneWorld& world, const std::string& instance) {
  const std::string prefix = fmt::format("{}{}/backups/", instances_prefix(), instance);
  world.repository.store().list(prefix, "", [&](const blob::ObjectInfo& object) {
    const auto key = parse_object_key(object.key);
    if (!key) return true;
    BackupObjects& backup = world.seen[{instance, key->backup}];
    backup.instance = instance;
    backup.backup = key->backup;
    note(backup, *key, object);
    return true;
  });
}

/// When the writer says that it began; nothing if the mark is gone, and the store's time if it cannot be read.
std::optional<core::Timestamp> begun(Repository& repository, const ObjectName& name, core::Timestamp marked_at) {
  try {
    const auto content = repository.get_sealed(name);
    if (!content) return std::nullopt;
    return reading(name.key, [&] {
      const core::json::value value = core::parse_json(core::as_text(*content));
      return read_time(core::as_object(value), "begun");
    });
  } catch (const core::Error& error) {
    if (!is_damaged(error)) throw;
    return marked_at;
  }
}

constexpr core::Duration kLongestMark = kLongestBackup + kMarkMargin;

/// Whether a mark holds nothing any more; one whose attempt is at its end may go, but not before its writer has looked
/// for it once more.
struct MarkState {
  bool over = false;
  bool may_go = false;
};

MarkState judge_mark(PruneWorld& world, const BackupObjects& backup, const ObjectId& id,
                     const AttemptObjects& attempt) {
  // Written last.
  if (attempt.record) return {.over = true, .may_go = world.clocks.store - attempt.marked_at >= kLongestMark};
  if (world.request.ended.contains(backup.backup)) return {true, true};
  const auto since = begun(world.repository, writer_mark_name(backup.instance, backup.backup, id), attempt.marked_at);
  const bool over = !since || world.clocks.age(*since, attempt.marked_at) >= kLongestMark;
  return {over, over};
}

}  // namespace

std::vector<BackupObjects> list_backups(PruneWorld& world, const std::set<std::string>& only) {
  // Marks come and go while the run lasts: of them the newest listing tells.
  for (auto& [key, backup] : world.seen) {
    backup.condemned = false;
    for (auto& [id, attempt] : backup.attempts) attempt.marked = attempt.condemned = false;
  }
  if (only.empty()) {
    for (const std::string& instance : world.repository.instances()) list_instance(world, instance);
  }
  for (const std::string& instance : only) list_instance(world, instance);
  std::vector<BackupObjects> backups;
  for (const auto& [key, backup] : world.seen) {
    if (only.empty() || only.contains(key.first)) backups.push_back(backup);
  }
  return backups;
}

bool BackupObjects::has_content() const {
  return std::ranges::any_of(attempts, [](const auto& entry) { return entry.second.record || entry.second.manifest; });
}

bool BackupObjects::counts(const ObjectId& attempt) const {
  const auto at = attempts.find(attempt);
  return !condemned && at != attempts.end() && at->second.record && !at->second.condemned;
}

void put_condemned(Repository& repository, const ObjectName& name, const std::string& reason) {
  const core::json::object content{{"condemned", core::format_time(repository.clock().now())}, {"reason", reason}};
  repository.put_sealed(name, core::as_bytes(core::to_text(content)));
}

std::optional<CondemnedMark> get_condemned(Repository& repository, const ObjectName& name) {
  const auto content = repository.get_sealed(name);
  if (!content) return std::nullopt;
  return reading(name.key, [&] {
    const core::json::value value = core::parse_json(core::as_text(*content));
    const core::json::object& mark = core::as_object(value);
    return CondemnedMark{.condemned = read_time(mark, "condemned"), .reason = core::require_string(mark, "reason")};
  });
}

core::Duration Clocks::age(core::Timestamp by_content, core::Timestamp by_store) const {
  return std::min(here - by_content, store - by_store);
}

void PruneWorld::note(PruneAction action, std::string object, std::uint64_t objects, std::uint64_t bytes,
                      std::string why) {
  const bool removes = action != PruneAction::kCondemnBackup && action != PruneAction::kCondemnPacks;
  if (removes) {
    report.objects_removed += objects;
    report.bytes_removed += bytes;
  }
  report.steps.push_back({action, std::move(object), objects, bytes, std::move(why)});
}

void PruneWorld::wait(std::string object, std::string why) {
  report.steps.push_back(
      {.action = PruneAction::kWait, .object = std::move(object), .objects = 0, .bytes = 0, .why = std::move(why)});
}

void PruneWorld::remove(const std::vector<std::string>& keys) const {
  constexpr std::size_t kBatch = 500;
  if (request.dry_run) return;
  for (std::size_t from = 0; from < keys.size(); from += kBatch) {
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the prune was cancelled");
    repository.store().remove(std::span(keys).subspan(from, std::min(kBatch, keys.size() - from)));
  }
}

StoreTime ask_store(Repository& repository) {
  const std::string key = put_pack_list(repository, {.condemned = repository.clock().now()});
  const auto object = repository.store().head(key);
  if (!object) {
    throw core::Error(core::Code::kStoreObjectMissing, fmt::format("'{}' was written and is not there", key));
  }
  return {key, object->modified};
}

std::set<ObjectId> live_writers(PruneWorld& world, const std::set<std::string>& only) {
  std::set<ObjectId> live;
  std::vector<std::string> stale;
  for (const BackupObjects& backup : list_backups(world, only)) {
    for (const auto& [id, attempt] : backup.attempts) {
      if (!attempt.marked) continue;
      const MarkState mark = judge_mark(world, backup, id, attempt);
      if (!mark.over) live.insert(id);
      if (mark.may_go) stale.push_back(writer_mark_name(backup.instance, backup.backup, id).key);
    }
  }
  world.remove(stale);
  return live;
}

namespace {

/// A stored backup whose manifest is lost holds all packs, like one whose manifest is damaged: it may be brought back.
void check_not_lost(PruneWorld& world, const BackupObjects& backup, const ObjectId& attempt) {
  if (!backup.counts(attempt) || !world.repository.store().head(backup.record(attempt).key)) return;
  throw core::Error(core::Code::kCorruptData, fmt::format("'{}' is missing", backup.manifest(attempt).key));
}

void take_out(PruneWorld& world, const BackupObjects& backup, const ObjectId& attempt,
              const std::vector<PackObject>& packs, std::vector<bool>& referenced) {
  const ObjectName name = backup.manifest(attempt);
  try {
    const ManifestReader manifest(world.repository, name);
    for (const ObjectId& id : manifest.packs()) {
      const auto at = std::ranges::lower_bound(packs, id, {}, &PackObject::id);
      if (at != packs.end() && at->id == id) referenced[static_cast<std::size_t>(at - packs.begin())] = true;
    }
  } catch (const core::Error& error) {
    // Somebody else's sweep: what it referred to is garbage to him as to us.
    if (error.code() != core::Code::kStoreObjectMissing) throw;
    check_not_lost(world, backup, attempt);
  }
}

}  // namespace

void keep_unreferenced(PruneWorld& world, std::vector<PackObject>& packs) {
  std::vector<bool> referenced(packs.size());
  for (const BackupObjects& backup : list_backups(world)) {
    for (const auto& [id, attempt] : backup.attempts) {
      if (packs.empty() || (!attempt.manifest && !backup.counts(id))) continue;
      if (world.stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the prune was cancelled");
      take_out(world, backup, id, packs, referenced);
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < packs.size(); ++i) {
    if (!referenced[i]) packs[kept++] = packs[i];
  }
  packs.resize(kept);
}

}  // namespace backstay::repository::detail
