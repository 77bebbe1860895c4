// A repository: everything that one team keeps in one destination, readable with the recovery key alone.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blob/store.h"
#include "core/random.h"
#include "core/time.h"
#include "repository/keys.h"
#include "repository/records.h"

namespace backstay::repository {

/// A stored backup whose record cannot be read.
struct DamagedBackup {
  std::string backup = {};
  std::string problem = {};
};

/// What the store lists of one attempt at a backup that is stored.
struct StoredAttempt {
  ObjectId attempt{};
  /// 0 if there is no manifest.
  std::uint64_t manifest_size = 0;
  /// By the store's clock.
  core::Timestamp manifest_time = {};
};

/// Safe for any thread. `random` and `clock` must outlive it.
class Repository {
 public:
  /// Makes a repository in a store that has none; already_exists if there is one. When two create at once, both end up
  /// with the same repository or one of them gets already_exists.
  static std::unique_ptr<Repository> create(std::shared_ptr<blob::Store> store, const TeamKey& key,
                                            core::Random& random, core::Clock& clock);
  /// Throws not_found if there is no repository, wrong_key if the key is another one's, unsupported_format if it is
  /// newer than this program.
  static std::unique_ptr<Repository> open(std::shared_ptr<blob::Store> store, const TeamKey& key, core::Random& random,
                                          core::Clock& clock);
  static std::unique_ptr<Repository> create_or_open(std::shared_ptr<blob::Store> store, const TeamKey& key,
                                                    core::Random& random, core::Clock& clock);
  static bool exists(blob::Store& store);
  /// Throws store_unreachable if the store holds no repository now, or another one: a disk that is not mounted, or a
  /// bucket that was emptied, shows itself so.
  static void check_present(blob::Store& store, const std::string& id);
  void check_present() const { check_present(*store_, id_); }

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] blob::Store& store() const { return *store_; }
  [[nodiscard]] const DataKey& data_key() const { return data_key_; }
  [[nodiscard]] core::Random& random() const { return random_; }
  [[nodiscard]] core::Clock& clock() const { return clock_; }

  /// Instance ids, sorted, of every instance that has left an object here.
  [[nodiscard]] std::vector<std::string> instances() const;
  void put_instance(const InstanceRecord& record);
  [[nodiscard]] std::optional<InstanceRecord> instance(const std::string& instance) const;

  /// The records of the stored backups of an instance, oldest start first. One that cannot be read is left out, and
  /// named in `damaged`.
  [[nodiscard]] std::vector<BackupRecord> backups(const std::string& instance,
                                                  std::vector<DamagedBackup>* damaged = nullptr) const;
  /// Those that are stored and not condemned.
  [[nodiscard]] std::vector<std::string> backup_ids(const std::string& instance) const;
  /// The record of the attempt that counts, condemned or not: a listing of the backup's few objects tells which it is.
  [[nodiscard]] std::optional<BackupRecord> backup(const std::string& instance, const std::string& backup) const;
  /// The attempts at a backup that are stored: one, or two for a while if one that was believed dead has come to its
  /// end after all.
  [[nodiscard]] std::vector<StoredAttempt> attempts(const std::string& instance, const std::string& backup) const;
  [[nodiscard]] std::optional<BackupRecord> backup(const std::string& instance, const std::string& backup,
                                                   const ObjectId& attempt) const;
  /// Whether the attempt, or the backup as a whole, is to go.
  [[nodiscard]] bool is_condemned(const std::string& instance, const std::string& backup,
                                  const ObjectId& attempt) const;
  /// Writes the record, which makes the backup stored, or updates its facts. Throws what check_present throws: nobody
  /// could read the backup.
  void put_backup(const BackupRecord& record);

  /// A small sealed object, with one request each.
  void put_sealed(const ObjectName& name, core::ByteSpan content, core::ByteSpan meta = {}) const;
  [[nodiscard]] std::optional<core::Bytes> get_sealed(const ObjectName& name) const;

 private:
  struct Opened {
    std::string id;
    DataKey data_key;
  };
  Repository(std::shared_ptr<blob::Store> store, Opened opened, core::Random& random, core::Clock& clock);
  static std::optional<Opened> load(blob::Store& store, const TeamKey& key);
  struct Listed;
  [[nodiscard]] std::map<std::string, Listed> list_backups(const std::string& prefix) const;
  [[nodiscard]] std::optional<BackupRecord> choose(const std::string& instance, const std::string& backup,
                                                   const std::vector<StoredAttempt>& attempts) const;

  std::shared_ptr<blob::Store> store_;
  std::string id_;
  DataKey data_key_;
  core::Random& random_;
  core::Clock& clock_;
};

/// The names of objects; ids are UUIDs. Throw Error(invalid_argument) for an id that could leave its place.
ObjectName instance_record_name(const std::string& instance);
ObjectName backup_record_name(const std::string& instance, const std::string& backup, const ObjectId& attempt);
ObjectName backup_record_name(const BackupRecord& record);
ObjectName manifest_name(const std::string& instance, const std::string& backup, const ObjectId& attempt);
ObjectName manifest_name(const BackupRecord& record);
/// Beside them: the marks of a backup that is going to be removed, of an attempt that is, and of one that is writing.
ObjectName condemned_name(const std::string& instance, const std::string& backup);
ObjectName condemned_name(const std::string& instance, const std::string& backup, const ObjectId& attempt);
ObjectName writer_mark_name(const std::string& instance, const std::string& backup, const ObjectId& attempt);
std::string backup_prefix(const std::string& instance, const std::string& backup);
std::string instances_prefix();
std::string wal_prefix(const std::string& instance);
std::string page_changes_prefix(const std::string& instance);

}  // namespace backstay::repository
