#include "repository/repository.h"

#include <algorithm>
#include <exception>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/container_reader.h"
#include "repository/container_writer.h"
#include "repository/description.h"
#include "repository/json_fields.h"
#include "repository/object_keys.h"
#include "repository/second_reading.h"

namespace backstay::repository {
namespace {

constexpr std::string_view kInstances = "instances/";
/// Of the names and of the order of writing; containers have a version of their own.
constexpr int kLayoutVersion = 2;
constexpr std::string_view kBringItBack =
    "bring it back (mount the disk, restore the bucket), or send the backups to another place; nothing is written here "
    "meanwhile";

using detail::kDescriptionKey;

void check_id(std::string_view what, const std::string& id) {
  if (!core::is_uuid(id)) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is not the id of {}", id, what));
  }
}

core::Bytes describe(const std::string& id, core::ByteSpan wrapped, const DataKey& data_key, core::Timestamp now) {
  core::json::object description{{"format", "backstay repository"},
                                 {"version", kLayoutVersion},
                                 {"repository", id},
                                 {"created", core::format_time(now)},
                                 {"dataKey", core::to_base64(wrapped)}};
  description["check"] = detail::description_check(data_key, description);
  return core::to_bytes(core::to_pretty_text(description) + "\n");
}

std::string instance_prefix(const std::string& instance) {
  check_id("an instance", instance);
  return fmt::format("{}{}/", kInstances, instance);
}

std::string object_of(const std::string& instance, const std::string& backup, std::string_view what,
                      const ObjectId& attempt) {
  return fmt::format("{}{}.{}", backup_prefix(instance, backup), what, format_object_id(attempt));
}

}  // namespace

std::string backup_prefix(const std::string& instance, const std::string& backup) {
  check_id("a backup", backup);
  return fmt::format("{}backups/{}/", instance_prefix(instance), backup);
}

ObjectName instance_record_name(const std::string& instance) {
  return {Kind::kInstanceRecord, instance_prefix(instance) + "instance"};
}
ObjectName backup_record_name(const std::string& instance, const std::string& backup, const ObjectId& attempt) {
  return {Kind::kBackupRecord, object_of(instance, backup, "record", attempt)};
}
ObjectName backup_record_name(const BackupRecord& record) {
  return backup_record_name(record.instance, record.backup, record.attempt);
}
ObjectName manifest_name(const std::string& instance, const std::string& backup, const ObjectId& attempt) {
  return {Kind::kManifest, object_of(instance, backup, "manifest", attempt)};
}
ObjectName manifest_name(const BackupRecord& record) {
  return manifest_name(record.instance, record.backup, record.attempt);
}
ObjectName condemned_name(const std::string& instance, const std::string& backup) {
  return {Kind::kCondemned, backup_prefix(instance, backup) + "condemned"};
}
ObjectName condemned_name(const std::string& instance, const std::string& backup, const ObjectId& attempt) {
  return {Kind::kCondemned, object_of(instance, backup, "condemned", attempt)};
}
ObjectName writer_mark_name(const std::string& instance, const std::string& backup, const ObjectId& attempt) {
  return {Kind::kWriterMark, object_of(instance, backup, "writing", attempt)};
}
std::string instances_prefix() { return std::string(kInstances); }
std::string wal_prefix(const std::string& instance) { return instance_prefix(instance) + "wal/"; }
std::string page_changes_prefix(const std::string& instance) { return instance_prefix(instance) + "changes/"; }

Repository::Repository(std::shared_ptr<blob::Store> store, Opened opened, core::Random& random, core::Clock& clock)
    : store_(std::move(store)),
      id_(std::move(opened.id)),
      data_key_(std::move(opened.data_key)),
      random_(random),
      clock_(clock) {}

bool Repository::exists(blob::Store& store) { return store.head(kDescriptionKey).has_value(); }

std::optional<Repository::Opened> Repository::load(blob::Store& store, const TeamKey& key) {
  return detail::read_again_if_damaged([&]() -> std::optional<Opened> {
    const auto bytes = store.get(kDescriptionKey);
    if (!bytes) return std::nullopt;
    std::string id;
    core::Bytes wrapped;
    try {
      const core::json::value value = core::parse_json(core::as_text(*bytes));
      const core::json::object& description = core::as_object(value);
      const std::int64_t version = core::require_int(description, "version");
      if (version != kLayoutVersion) {
        throw core::Error(core::Code::kUnsupportedFormat,
                          fmt::format("the repository has format version {}; this program reads version {}", version,
                                      kLayoutVersion));
      }
      id = core::require_string(description, "repository");
      wrapped = core::from_base64(core::require_string(description, "dataKey"));
    } catch (core::Error& error) {
      if (error.code() == core::Code::kUnsupportedFormat) throw;
      throw core::Error(core::Code::kCorruptData, fmt::format("'{}' in {} is damaged: {}", kDescriptionKey,
                                                              store.description(), error.message()));
    }
    return Opened{id, unwrap_data_key(key, wrapped, id)};
  });
}

std::unique_ptr<Repository> Repository::open(std::shared_ptr<blob::Store> store, const TeamKey& key,
                                             core::Random& random, core::Clock& clock) {
  auto opened = load(*store, key);
  if (!opened) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no repository in {}", store->description()));
  }
  return std::unique_ptr<Repository>(new Repository(std::move(store), std::move(*opened), random, clock));
}

std::unique_ptr<Repository> Repository::create(std::shared_ptr<blob::Store> store, const TeamKey& key,
                                               core::Random& random, core::Clock& clock) {
  const std::string there = fmt::format("there is a repository in {} already", store->description());
  if (exists(*store)) throw core::Error(core::Code::kAlreadyExists, there);
  const std::string id = random.uuid();
  const DataKey data_key(KeyBytes::generate(random));
  const core::Bytes description = describe(id, wrap_data_key(key, data_key, id, random), data_key, clock.now());
  if (!store->features().conditional_put) {
    store->put(kDescriptionKey, description);
  } else if (!store->put_if_absent(kDescriptionKey, description)) {
    throw core::Error(core::Code::kAlreadyExists, there);
  }
  // Without a conditional write somebody may have come between: what the store holds now is the repository.
  return open(std::move(store), key, random, clock);
}

std::unique_ptr<Repository> Repository::create_or_open(std::shared_ptr<blob::Store> store, const TeamKey& key,
                                                       core::Random& random, core::Clock& clock) {
  if (!exists(*store)) {
    try {
      return create(store, key, random, clock);
    } catch (const core::Error& error) {
      if (error.code() != core::Code::kAlreadyExists) throw;
    }
  }
  return open(std::move(store), key, random, clock);
}

void Repository::check_present(blob::Store& store, const std::string& id) {
  std::string seen = "none is there";
  try {
    if (const auto bytes = store.get(kDescriptionKey)) {
      const core::json::value value = core::parse_json(core::as_text(*bytes));
      const std::string found = core::require_string(core::as_object(value), "repository");
      if (found == id) return;
      seen = fmt::format("another one is there, '{}'", found);
    }
  } catch (const core::Error& error) {
    using enum core::Code;
    if (error.code() == kMalformedJson || error.code() == kInvalidArgument) {
      seen = fmt::format("its '{}' is damaged", kDescriptionKey);
    } else if (error.code() == kStoreNotFound) {
      seen = error.message();
    } else {
      throw;
    }
  }
  throw core::Error(core::Code::kStoreUnreachable,
                    fmt::format("the repository '{}' is not in {}: {}", id, store.description(), seen))
      .with_hint(std::string(kBringItBack));
}

std::vector<std::string> Repository::instances() const {
  std::vector<std::string> ids;
  // One short listing an instance: what lies below each, mostly WAL, is skipped.
  std::string after;
  for (bool more = true; more;) {
    more = false;
    store_->list(kInstances, after, [&](const blob::ObjectInfo& object) {
      const std::string_view rest = std::string_view(object.key).substr(kInstances.size());
      const std::string name(rest.substr(0, rest.find('/')));
      if (core::is_uuid(name)) ids.push_back(name);
      after = fmt::format("{}{}/~~~~", kInstances, name);
      more = true;
      return false;
    });
  }
  return ids;
}

void Repository::put_instance(const InstanceRecord& record) {
  check_present();
  put_sealed(instance_record_name(record.instance), core::as_bytes(core::to_text(to_json(record))));
}

std::optional<InstanceRecord> Repository::instance(const std::string& instance) const {
  const auto content = get_sealed(instance_record_name(instance));
  if (!content) return std::nullopt;
  return instance_record_from_json(core::parse_json(core::as_text(*content)));
}

struct Repository::Listed {
  bool condemned = false;
  std::vector<StoredAttempt> stored = {};
};

/// The names of marks come before those of manifests, and those before records.
std::map<std::string, Repository::Listed> Repository::list_backups(const std::string& prefix) const {
  std::map<std::string, Listed> backups;
  std::set<ObjectId> condemned;
  std::map<ObjectId, StoredAttempt> manifests;
  store_->list(prefix, "", [&](const blob::ObjectInfo& object) {
    const auto key = detail::parse_object_key(object.key);
    if (!key || key->backup.empty()) return true;
    Listed& backup = backups[key->backup];
    const ObjectId attempt = key->attempt.value_or(ObjectId{});
    if (key->kind == Kind::kCondemned) {
      if (key->attempt) {
        condemned.insert(attempt);
      } else {
        backup.condemned = true;
      }
    } else if (key->kind == Kind::kManifest) {
      manifests[attempt] = {attempt, object.size, object.modified};
    } else if (key->kind == Kind::kBackupRecord && !condemned.contains(attempt)) {
      const auto manifest = manifests.find(attempt);
      backup.stored.push_back(manifest == manifests.end() ? StoredAttempt{.attempt = attempt} : manifest->second);
    }
    return true;
  });
  return backups;
}

std::vector<std::string> Repository::backup_ids(const std::string& instance) const {
  std::vector<std::string> ids;
  for (const auto& [id, backup] : list_backups(instance_prefix(instance) + "backups/")) {
    if (!backup.condemned && !backup.stored.empty()) ids.push_back(id);
  }
  return ids;
}

std::vector<BackupRecord> Repository::backups(const std::string& instance, std::vector<DamagedBackup>* damaged) const {
  std::vector<BackupRecord> records;
  for (const auto& [id, listed] : list_backups(instance_prefix(instance) + "backups/")) {
    if (listed.condemned) continue;
    try {
      if (auto record = choose(instance, id, listed.stored)) records.push_back(std::move(*record));
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      if (damaged != nullptr) damaged->push_back({id, error.message()});
    }
  }
  std::ranges::sort(records, [](const BackupRecord& a, const BackupRecord& b) {
    return std::tie(a.start_time, a.backup) < std::tie(b.start_time, b.backup);
  });
  return records;
}

std::optional<BackupRecord> Repository::choose(const std::string& instance, const std::string& backup,
                                               const std::vector<StoredAttempt>& attempts) const {
  std::optional<BackupRecord> chosen;
  bool whole = false;
  std::exception_ptr damage;
  for (const StoredAttempt& stored : attempts) {
    try {
      auto record = this->backup(instance, backup, stored.attempt);
      if (!record) continue;
      const bool has_manifest = stored.manifest_size != 0;
      if (chosen && (whole != has_manifest ? whole : !gives_way(*chosen, *record))) continue;
      chosen = std::move(record);
      whole = has_manifest;
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      damage = std::current_exception();
    }
  }
  // One damaged object costs only what rests on it.
  if (!chosen && damage) std::rethrow_exception(damage);
  return chosen;
}

std::vector<StoredAttempt> Repository::attempts(const std::string& instance, const std::string& backup) const {
  return std::move(list_backups(backup_prefix(instance, backup))[backup].stored);
}

std::optional<BackupRecord> Repository::backup(const std::string& instance, const std::string& backup) const {
  return choose(instance, backup, attempts(instance, backup));
}

std::optional<BackupRecord> Repository::backup(const std::string& instance, const std::string& backup,
                                               const ObjectId& attempt) const {
  const auto content = get_sealed(backup_record_name(instance, backup, attempt));
  if (!content) return std::nullopt;
  return backup_record_from_json(core::parse_json(core::as_text(*content)));
}

bool Repository::is_condemned(const std::string& instance, const std::string& backup, const ObjectId& attempt) const {
  return store_->head(condemned_name(instance, backup).key) ||
         store_->head(condemned_name(instance, backup, attempt).key);
}

void Repository::put_backup(const BackupRecord& record) {
  check_present();
  put_sealed(backup_record_name(record), core::as_bytes(core::to_text(to_json(record))));
}

void Repository::put_sealed(const ObjectName& name, core::ByteSpan content, core::ByteSpan meta) const {
  store_->put(name.key, ContainerWriter(data_key_, random_).encode(name, content, meta));
}

std::optional<core::Bytes> Repository::get_sealed(const ObjectName& name) const {
  auto content = ContainerReader(data_key_).fetch(*store_, name);
  if (!content) return std::nullopt;
  return std::move(content->bytes);
}

}  // namespace backstay::repository
