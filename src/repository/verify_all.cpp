#include "repository/verify_all.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "codec/hash.h"
#include "core/error.h"
#include "core/mutex.h"
#include "repository/container_reader.h"
#include "repository/description.h"
#include "repository/json_fields.h"
#include "repository/manifest.h"
#include "repository/manifest_checks.h"
#include "repository/object_keys.h"
#include "repository/parallel.h"
#include "repository/second_reading.h"
#include "repository/wal_names.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using detail::ObjectKey;

bool is_damage(core::Code code) {
  using enum core::Code;
  return code == kCorruptData || code == kStoreObjectMissing || code == kUnsupportedFormat || code == kWalGap ||
         code == kStoreConflict || code == kMalformedJson || code == kInvalidArgument;
}

std::string_view meaning_of(Kind kind) {
  switch (kind) {
    case Kind::kPack: return "files whose bytes lie in this pack cannot be restored";
    case Kind::kManifest: return "the backup cannot be restored as a whole";
    case Kind::kBackupRecord: return "the backup is not listed and cannot be restored";
    case Kind::kInstanceRecord: return "whose backups these are is not known";
    case Kind::kWalSegment:
    case Kind::kWalTail: return "times that need this WAL cannot be reached, unless another copy of it is there";
    case Kind::kHistory: return "times on this timeline may not be reached";
    case Kind::kWindowEnd: return "the last moments of the archive may not be reached";
    case Kind::kWalIndex: return "questions for times take longer; nothing is lost";
    case Kind::kPageChanges: return "the next incremental backup reads more; nothing is lost";
    case Kind::kCondemned:
    case Kind::kWriterMark: return "nothing is removed while it cannot be read";
  }
  return "";
}

struct Entry {
  std::string key = {};
  ObjectKey what = {};
  std::uint64_t size = 0;
};

/// What is known of one backup.
struct Backup {
  std::string instance = {};
  std::string id = {};
  bool has_record = false;
  bool has_manifest = false;
  bool condemned = false;
  bool marked = false;
  std::optional<BackupRecord> record = {};
};

class Verification {
 public:
  Verification(Repository& repository, const VerifyAllOptions& options, std::stop_token stop)
      : repository_(repository), options_(options), stop_(std::move(stop)) {}

  VerifyAllReport run() {
    guarded(detail::kDescriptionKey, "nothing in this repository can be read without it", [&] { check_description(); });
    list();
    draw_sample();
    total_ = to_read_.size() + backups_.size();
    detail::parallel_each(to_read_.size(), std::max(1U, options_.threads), [&](std::size_t i) {
      stop_if_asked();
      check_object(entries_[to_read_[i]]);
      note_progress();
    });
    check_segment_copies();
    for (auto& [key, backup] : backups_) {
      stop_if_asked();
      check_backup(backup);
      note_progress();
    }
    find_orphans();
    return std::move(report_);
  }

 private:
  template <typename Check>
  bool guarded(std::string_view object, std::string_view meaning, Check check) {
    try {
      check();
      return true;
    } catch (const core::Error& error) {
      if (!is_damage(error.code())) throw;
      add_problem(std::string(object), error.message(), meaning);
      return false;
    }
  }

  void add_problem(std::string object, std::string what, std::string_view meaning) {
    const core::LockGuard lock(mutex_);
    report_.problems.push_back({std::move(object), std::move(what), std::string(meaning)});
  }

  void check_description() {
    const bool has_check = detail::read_again_if_damaged([&] {
      const auto bytes = repository_.store().get(detail::kDescriptionKey);
      if (!bytes) throw core::Error(core::Code::kStoreObjectMissing, "the object is not in the store");
      return detail::check_description(repository_.data_key(), *bytes);
    });
    if (!has_check) {
      report_.warnings.push_back(
          "the repository was made before its description had a check: when it was made is not proven");
    }
  }

  void list() {
    std::set<std::string> instances;
    repository_.store().list("", "", [&](const blob::ObjectInfo& object) {
      stop_if_asked();
      const auto what = detail::parse_object_key(object.key);
      if (!what) {
        if (object.key != detail::kDescriptionKey) ++report_.foreign;
        return true;
      }
      entries_.push_back({object.key, *what, object.size});
      auto& totals = report_.kinds[what->kind];
      ++totals.objects;
      totals.bytes += object.size;
      if (!what->instance.empty()) instances.insert(what->instance);
      if (!what->backup.empty()) note_backup(*what);
      return true;
    });
    report_.instances = instances.size();
  }

  void note_backup(const ObjectKey& what) {
    Backup& backup = backups_[what.instance + "/" + what.backup];
    backup.instance = what.instance;
    backup.id = what.backup;
    backup.has_record |= what.kind == Kind::kBackupRecord;
    backup.has_manifest |= what.kind == Kind::kManifest;
    backup.condemned |= what.kind == Kind::kCondemned;
    backup.marked |= what.kind == Kind::kWriterMark;
  }

  /// Manifests are read entry by entry, with the backups.
  void draw_sample() {
    std::vector<std::size_t> large;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Kind kind = entries_[i].what.kind;
      if (kind == Kind::kManifest) continue;
      if (options_.sample && (kind == Kind::kPack || kind == Kind::kWalSegment)) {
        large.push_back(i);
        bytes += entries_[i].size;
      } else {
        to_read_.push_back(i);
      }
    }
    if (!options_.sample) return;
    const auto share = static_cast<std::uint64_t>(static_cast<double>(bytes) * options_.sample->share);
    const std::uint64_t wanted = options_.sample->bytes.value_or(share);
    std::mt19937_64 engine(options_.sample->seed);
    // std::shuffle draws differently with every library.
    for (std::size_t i = large.size(); i > 1; --i) std::swap(large[i - 1], large[engine() % i]);
    std::uint64_t taken = 0;
    for (const std::size_t i : large) {
      if (taken >= wanted) break;
      taken += entries_[i].size;
      to_read_.push_back(i);
    }
  }

  using Problems = std::vector<VerifyProblem>;

  /// What is wrong may have gone wrong on its way here: it is read once more before it is told.
  void check_object(const Entry& entry) {
    std::uint64_t bytes = 0;
    Problems problems = read_object(entry, bytes);
    if (!problems.empty()) problems = read_object(entry, bytes);
    const core::LockGuard lock(mutex_);
    report_.problems.insert(report_.problems.end(), problems.begin(), problems.end());
    auto& totals = report_.kinds[entry.what.kind];
    totals.objects_read += bytes > 0 ? 1 : 0;
    totals.bytes_read += bytes;
  }

  Problems read_object(const Entry& entry, std::uint64_t& bytes) {
    Problems problems;
    try {
      const auto object = repository_.store().get(entry.key);
      // What was listed a moment ago may have been removed since, as tails are; what is needed is missed elsewhere.
      if (!object) return problems;
      bytes = object->size();
      ContainerReader reader(repository_.data_key());
      const Layout layout = reader.read_layout({entry.what.kind, entry.key}, *object);
      if (entry.what.kind == Kind::kPack) {
        check_pack(entry, layout, reader, *object, problems);
      } else {
        check_content(entry, layout, reader.read_all(layout, *object));
      }
    } catch (const core::Error& error) {
      if (!is_damage(error.code())) throw;
      problems.push_back({entry.key, error.message(), std::string(meaning_of(entry.what.kind))});
    }
    return problems;
  }

  void check_content(const Entry& entry, const Layout& layout, const core::Bytes& bytes) {
    switch (entry.what.kind) {
      case Kind::kWalSegment:
      case Kind::kWalTail: return check_wal(entry, layout, bytes);
      case Kind::kHistory:
      case Kind::kPageChanges: return;
      default: break;
    }
    const core::json::value value = core::parse_json(core::as_text(bytes));
    const core::json::object& content = core::as_object(value);
    if (entry.what.kind == Kind::kInstanceRecord) {
      if (instance_record_from_json(value).instance != entry.what.instance) throw of_another("instance");
    } else if (entry.what.kind == Kind::kBackupRecord) {
      check_record(entry, backup_record_from_json(value));
    } else if (content.empty()) {
      throw core::Error(core::Code::kCorruptData, "it says nothing");
    }
  }

  static core::Error of_another(std::string_view what) {
    return {core::Code::kCorruptData, fmt::format("it is of another {}", what)};
  }

  void check_record(const Entry& entry, BackupRecord record) {
    if (record.backup != entry.what.backup || record.instance != entry.what.instance) throw of_another("backup");
    const core::LockGuard lock(mutex_);
    backups_.at(entry.what.instance + "/" + entry.what.backup).record = std::move(record);
  }

  /// One after the other: a pack may be large when it is decompressed.
  void check_pack(const Entry& entry, const Layout& layout, ContainerReader& reader, core::ByteSpan object,
                  Problems& problems) {
    core::Bytes raw;
    for (std::uint32_t number = 0; number < layout.groups.size(); ++number) {
      const Group& group = layout.groups[number];
      try {
        raw.resize(group.raw_size);
        reader.decode_group(layout, number, object.subspan(group.offset, group.stored_size), raw);
      } catch (const core::Error& error) {
        if (!is_damage(error.code())) throw;
        problems.push_back({entry.key, error.message(), "files whose bytes lie in this group cannot be restored"});
      }
    }
    const core::LockGuard lock(mutex_);
    group_sizes_.note(entry.what.pack, layout);
  }

  void check_wal(const Entry& entry, const Layout& layout, const core::Bytes& content) {
    const std::string digest = wal_content_digest(layout);
    if (core::to_hex(codec::sha256(content)) != digest) {
      throw core::Error(core::Code::kCorruptData, "its content is not the one that its digest tells of");
    }
    if (entry.what.kind != Kind::kWalSegment) return;
    const core::LockGuard lock(mutex_);
    digests_[entry.key.substr(0, entry.key.rfind('.'))].insert(digest);
  }

  void check_segment_copies() {
    for (const auto& [segment, digests] : digests_) {
      if (digests.size() < 2) continue;
      add_problem(segment, "two writers stored different contents for this segment",
                  "times that need this WAL cannot be reached");
    }
  }

  void check_backup(Backup& backup) {
    if (backup.has_record) ++report_.backups;
    const std::string key = manifest_name(backup.instance, backup.id).key;
    if (backup.has_manifest) {
      guarded(key, meaning_of(Kind::kManifest), [&] { check_manifest(backup, key); });
    } else if (backup.has_record && !backup.condemned && is_gone(key)) {
      add_problem(key, "the object is not in the store", meaning_of(Kind::kManifest));
    }
    if (!backup.record || backup.condemned) return;
    guarded(wal_prefix(backup.instance), "the backup cannot be brought to a consistent state",
            [&] { check_wal_of(backup); });
  }

  bool is_gone(const std::string& key) { return !repository_.store().head(key); }

  void check_manifest(const Backup& backup, const std::string& key) {
    ManifestReader manifest(repository_, backup.instance, backup.id);
    detail::check_manifest_header(repository_, {Kind::kManifest, key}, manifest);
    if (backup.record) manifest.check_belongs_to(*backup.record);
    for (const ObjectId& pack : manifest.packs()) needed_.insert(pack);
    std::uint64_t entries = 0;
    std::uint64_t data_size = 0;
    while (const auto entry = manifest.next()) {
      stop_if_asked();
      ++entries;
      data_size += entry->type == EntryType::kFile ? entry->size : 0;
      for (const Extent& extent : entry->extents) {
        if (group_sizes_.cover(extent)) continue;
        add_problem(key, fmt::format("'{}' refers to bytes that its pack does not have", entry->path),
                    "this file cannot be restored");
      }
    }
    if (entries != manifest.entry_count() || data_size != manifest.data_size()) {
      throw core::Error(core::Code::kCorruptData, "the manifest does not have all of its entries");
    }
    auto& totals = report_.kinds[Kind::kManifest];
    ++totals.objects_read;
    totals.bytes_read += manifest.stored_size();
    if (backup.condemned) return;
    for (const ObjectId& pack : manifest.packs()) require_pack(pack, backup);
  }

  void require_pack(const ObjectId& pack, const Backup& backup) {
    const std::string key = pack_key(pack);
    if (find(key) != nullptr || !missing_.insert(pack).second) return;
    if (!is_gone(key)) return;
    add_problem(key, fmt::format("backup '{}' needs it, and it is not in the store", backup.id),
                meaning_of(Kind::kPack));
  }

  [[nodiscard]] const Entry* find(const std::string& key) const {
    const auto at = std::ranges::lower_bound(entries_, key, {}, &Entry::key);
    return at != entries_.end() && at->key == key ? &*at : nullptr;
  }

  void check_wal_of(const Backup& backup) {
    const BackupRecord& record = *backup.record;
    if (record.stop_lsn <= record.start_lsn) return;
    WalStore wal(repository_, backup.instance, record.wal_segment_size);
    const std::uint64_t first = record.start_lsn / record.wal_segment_size;
    const std::uint64_t last = (record.stop_lsn - 1) / record.wal_segment_size;
    const auto stored = wal.list(record.timeline, first, last);
    for (std::uint64_t segment = first; segment <= last; ++segment) {
      const auto found = std::ranges::find(stored, segment, &StoredSegment::segment);
      const std::uint64_t begin = segment * record.wal_segment_size;
      const std::uint64_t needed = std::min(record.stop_lsn - begin, record.wal_segment_size);
      if (found != stored.end() && found->contiguous(record.wal_segment_size) >= needed) continue;
      throw core::Error(core::Code::kWalGap,
                        fmt::format("backup '{}' needs WAL segment {}, and it is not in the store", backup.id,
                                    segment_name(record.timeline, segment, record.wal_segment_size)));
    }
    const std::string history =
        fmt::format("{}{}.history", wal_prefix(backup.instance), detail::timeline_text(record.timeline));
    if (record.timeline > 1 && find(history) == nullptr && is_gone(history)) {
      throw core::Error(core::Code::kWalGap, fmt::format("the history of timeline {} is missing", record.timeline));
    }
  }

  void find_orphans() {
    const bool writing = std::ranges::any_of(
        backups_, [](const auto& entry) { return entry.second.marked && !entry.second.has_record; });
    for (const Entry& entry : entries_) {
      const std::string why = why_orphan(entry, writing);
      if (!why.empty()) report_.orphans.push_back({entry.key, entry.size, why});
    }
    for (const auto& [key, backup] : backups_) {
      const std::string record = instance_record_name(backup.instance).key;
      if (!backup.has_record || find(record) != nullptr || !lacking_.insert(backup.instance).second) continue;
      if (is_gone(record)) add_problem(record, "the object is not in the store", meaning_of(Kind::kInstanceRecord));
    }
  }

  [[nodiscard]] std::string why_orphan(const Entry& entry, bool writing) const {
    if (entry.what.kind == Kind::kPack && !needed_.contains(entry.what.pack)) {
      return writing ? "nothing refers to it yet: a backup is being written, or an attempt at one failed"
                     : "nothing refers to it: of an attempt that failed, or of a backup that was removed";
    }
    if (entry.what.kind == Kind::kManifest) {
      const Backup& backup = backups_.at(entry.what.instance + "/" + entry.what.backup);
      if (backup.condemned) return "the backup is condemned: it is removed when its grace is over";
      if (!backup.has_record) return "the backup has no record: it is being written, or an attempt at it failed";
    }
    if (entry.what.kind == Kind::kWalTail && digests_.contains(entry.key.substr(0, entry.key.find('.')))) {
      return "the whole segment is there";
    }
    return "";
  }

  void stop_if_asked() const {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was cancelled");
  }

  void note_progress() {
    if (!options_.progress) return;
    const std::lock_guard lock(progress_mutex_);
    options_.progress(++done_, total_);
  }

  Repository& repository_;
  const VerifyAllOptions& options_;
  std::stop_token stop_;
  /// In key order.
  std::vector<Entry> entries_;
  std::vector<std::size_t> to_read_;
  std::map<std::string, Backup> backups_;
  std::set<ObjectId> needed_;
  std::set<ObjectId> missing_;
  std::set<std::string> lacking_;
  core::Mutex mutex_;
  VerifyAllReport report_;
  detail::GroupSizes group_sizes_;
  /// By the key without the writer's epoch.
  std::map<std::string, std::set<std::string>> digests_;
  std::mutex progress_mutex_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

VerifyAllReport verify_all(Repository& repository, const VerifyAllOptions& options, std::stop_token stop) {
  return Verification(repository, options, std::move(stop)).run();
}

}  // namespace backstay::repository
