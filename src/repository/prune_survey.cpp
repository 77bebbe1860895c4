#include "repository/prune_survey.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/json_fields.h"
#include "repository/manifest.h"
#include "repository/prune_packs.h"
#include "repository/writer_mark.h"

namespace backstay::repository::detail {
namespace {

/// Clocks of two machines may be apart, and what a writer does after its last check takes time.
constexpr core::Duration kMarkMargin = std::chrono::hours(24);

void note(BackupObjects& backup, std::string_view name, const blob::ObjectInfo& object) {
  if (name == "record") backup.record = true;
  if (name == "manifest") {
    backup.manifest = true;
    backup.manifest_at = object.modified;
  }
  if (name == "condemned") {
    backup.condemned = true;
    backup.condemned_at = object.modified;
  }
  if (name == "writing") {
    backup.marked = true;
    backup.marked_at = object.modified;
  }
}

void list_instance(PruneWorld& world, const std::string& instance) {
  const std::string prefix = fmt::format("{}{}/backups/", instances_prefix(), instance);
  world.repository.store().list(prefix, "", [&](const blob::ObjectInfo& object) {
    const std::string_view rest = std::string_view(object.key).substr(prefix.size());
    const auto slash = rest.find('/');
    const std::string id(rest.substr(0, slash));
    if (slash == std::string_view::npos || !core::is_uuid(id)) return true;
    BackupObjects& backup = world.seen[{instance, id}];
    backup.instance = instance;
    backup.backup = id;
    note(backup, rest.substr(slash + 1), object);
    return true;
  });
}

/// When the writer says that it began; nothing if the mark is gone, and the store's time if it cannot be read.
std::optional<core::Timestamp> begun(Repository& repository, const BackupObjects& backup) {
  const ObjectName name = writer_mark_name(backup.instance, backup.backup);
  try {
    const auto content = repository.get_sealed(name);
    if (!content) return std::nullopt;
    return reading(name.key, [&] {
      const core::json::value value = core::parse_json(core::as_text(*content));
      return read_time(core::as_object(value), "begun");
    });
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kCorruptData) throw;
    return backup.marked_at;
  }
}

bool has_ended(Repository& repository, const Clocks& clocks, const BackupObjects& backup) {
  if (backup.record) return true;  // written last
  const auto since = begun(repository, backup);
  return !since || clocks.age(*since, backup.marked_at) >= kLongestBackup + kMarkMargin;
}

}  // namespace

std::vector<BackupObjects> list_backups(PruneWorld& world, const std::set<std::string>& only) {
  // Marks come and go while the run lasts: of them the newest listing tells.
  for (auto& [key, backup] : world.seen) backup.marked = backup.condemned = false;
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

void put_condemned(Repository& repository, const std::string& instance, const std::string& backup,
                   const std::string& reason, bool attempt) {
  core::json::object content{{"condemned", core::format_time(repository.clock().now())}, {"reason", reason}};
  if (attempt) content["attempt"] = true;
  repository.put_sealed(condemned_name(instance, backup), core::as_bytes(core::to_text(content)));
}

std::optional<CondemnedMark> get_condemned(Repository& repository, const BackupObjects& backup) {
  const ObjectName name = condemned_name(backup.instance, backup.backup);
  const auto content = repository.get_sealed(name);
  if (!content) return std::nullopt;
  return reading(name.key, [&] {
    const core::json::value value = core::parse_json(core::as_text(*content));
    const core::json::object& mark = core::as_object(value);
    return CondemnedMark{.condemned = read_time(mark, "condemned"),
                         .reason = core::require_string(mark, "reason"),
                         .attempt = mark.contains("attempt")};
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

std::set<std::string> live_writers(PruneWorld& world, const std::set<std::string>& only) {
  std::set<std::string> live;
  std::vector<std::string> stale;
  for (const BackupObjects& backup : list_backups(world, only)) {
    if (!backup.marked) continue;
    if (!world.request.ended.contains(backup.backup) && !has_ended(world.repository, world.clocks, backup)) {
      live.insert(backup.backup);
    } else {
      stale.push_back(writer_mark_name(backup.instance, backup.backup).key);
    }
  }
  world.remove(stale);
  return live;
}

void keep_unreferenced(PruneWorld& world, std::vector<PackObject>& packs) {
  std::vector<bool> referenced(packs.size());
  for (const BackupObjects& backup : list_backups(world)) {
    if (!backup.manifest || packs.empty()) continue;
    if (world.stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the prune was cancelled");
    try {
      const ManifestReader manifest(world.repository, backup.instance, backup.backup);
      for (const ObjectId& id : manifest.packs()) {
        const auto at = std::ranges::lower_bound(packs, id, {}, &PackObject::id);
        if (at != packs.end() && at->id == id) referenced[static_cast<std::size_t>(at - packs.begin())] = true;
      }
    } catch (const core::Error& error) {
      // Somebody else's sweep: what it referred to is garbage to him as to us.
      if (error.code() != core::Code::kStoreObjectMissing) throw;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < packs.size(); ++i) {
    if (!referenced[i]) packs[kept++] = packs[i];
  }
  packs.resize(kept);
}

}  // namespace backstay::repository::detail
