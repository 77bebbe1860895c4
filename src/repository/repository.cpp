#include "repository/repository.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/container_reader.h"
#include "repository/container_writer.h"
#include "repository/description.h"
#include "repository/json_fields.h"
#include "repository/second_reading.h"

namespace backstay::repository {
namespace {

constexpr std::string_view kInstances = "instances/";
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
                                 {"version", static_cast<int>(kFormatVersion)},
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

std::string backup_prefix(const std::string& instance, const std::string& backup) {
  check_id("a backup", backup);
  return fmt::format("{}backups/{}/", instance_prefix(instance), backup);
}

}  // namespace

ObjectName instance_record_name(const std::string& instance) {
  return {Kind::kInstanceRecord, instance_prefix(instance) + "instance"};
}
ObjectName backup_record_name(const std::string& instance, const std::string& backup) {
  return {Kind::kBackupRecord, backup_prefix(instance, backup) + "record"};
}
ObjectName manifest_name(const std::string& instance, const std::string& backup) {
  return {Kind::kManifest, backup_prefix(instance, backup) + "manifest"};
}
ObjectName condemned_name(const std::string& instance, const std::string& backup) {
  return {Kind::kCondemned, backup_prefix(instance, backup) + "condemned"};
}
ObjectName writer_mark_name(const std::string& instance, const std::string& backup) {
  return {Kind::kWriterMark, backup_prefix(instance, backup) + "writing"};
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
      if (version > kFormatVersion) {
        throw core::Error(core::Code::kUnsupportedFormat,
                          fmt::format("the repository has format version {}; this program reads up to {}", version,
                                      static_cast<unsigned>(kFormatVersion)));
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

std::vector<std::string> Repository::backup_ids(const std::string& instance) const {
  const std::string prefix = instance_prefix(instance) + "backups/";
  std::vector<std::string> ids;
  std::string condemned;
  store_->list(prefix, "", [&](const blob::ObjectInfo& object) {
    const std::string_view rest = std::string_view(object.key).substr(prefix.size());
    const auto slash = rest.find('/');
    std::string id(rest.substr(0, slash));
    if (slash == std::string_view::npos || !core::is_uuid(id)) return true;
    // A backup's mark comes before its record.
    if (rest.substr(slash) == "/condemned") condemned = id;
    if (rest.substr(slash) == "/record" && id != condemned) ids.push_back(std::move(id));
    return true;
  });
  return ids;
}

std::vector<BackupRecord> Repository::backups(const std::string& instance, std::vector<DamagedBackup>* damaged) const {
  std::vector<BackupRecord> records;
  for (const std::string& id : backup_ids(instance)) {
    try {
      if (auto record = backup(instance, id)) records.push_back(std::move(*record));
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

std::optional<BackupRecord> Repository::backup(const std::string& instance, const std::string& backup) const {
  const auto content = get_sealed(backup_record_name(instance, backup));
  if (!content) return std::nullopt;
  return backup_record_from_json(core::parse_json(core::as_text(*content)));
}

void Repository::put_backup(const BackupRecord& record) {
  check_present();
  put_sealed(backup_record_name(record.instance, record.backup), core::as_bytes(core::to_text(to_json(record))));
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
