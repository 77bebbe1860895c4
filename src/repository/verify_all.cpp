#include "repository/verify_all.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/mutex.h"
#include "repository/container_reader.h"
#include "repository/description.h"
#include "repository/json_fields.h"
#include "repository/manifest.h"
#include "repository/object_checks.h"
#include "repository/parallel.h"
#include "repository/second_reading.h"
#include "repository/verify_survey.h"
#include "repository/wal_names.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

using detail::SurveyedAttempt;
using detail::SurveyedObject;

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

class Verification {
 public:
  Verification(Repository& repository, const VerifyAllOptions& options, std::stop_token stop)
      : repository_(repository), options_(options), stop_(std::move(stop)) {}

  VerifyAllReport run() {
    guarded(detail::kDescriptionKey, "nothing in this repository can be read without it", [&] { check_description(); });
    survey_ = detail::survey_repository(repository_, stop_);
    report_.kinds = survey_.kinds;
    report_.instances = survey_.instances;
    report_.foreign = survey_.foreign;
    const auto drawn = detail::draw_objects(survey_, options_.sample);
    total_ = drawn.size() + survey_.attempts.size();
    detail::parallel_each(drawn.size(), std::max(1U, options_.threads), [&](std::size_t i) {
      stop_if_asked();
      check_object(survey_.objects[drawn[i]]);
      note_progress();
    });
    check_segment_copies();
    for (auto& [key, backup] : survey_.attempts) {
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
      if (!detail::is_finding(error)) throw;
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

  using Problems = std::vector<VerifyProblem>;

  /// What is wrong may have gone wrong on its way here: it is read once more before it is told.
  void check_object(const SurveyedObject& entry) {
    std::uint64_t bytes = 0;
    Problems problems = read_object(entry, bytes);
    if (!problems.empty()) problems = read_object(entry, bytes);
    const core::LockGuard lock(mutex_);
    report_.problems.insert(report_.problems.end(), problems.begin(), problems.end());
    auto& totals = report_.kinds[entry.what.kind];
    totals.objects_read += bytes > 0 ? 1 : 0;
    totals.bytes_read += bytes;
  }

  Problems read_object(const SurveyedObject& entry, std::uint64_t& bytes) {
    Problems problems;
    try {
      const auto object = repository_.store().get(entry.key);
      if (!object) {
        // Listed a moment ago, it may have been removed since, as tails are. If it is needed, it is missed later.
        const core::LockGuard lock(mutex_);
        gone_.insert(entry.key);
        return problems;
      }
      bytes = object->size();
      ContainerReader reader(repository_.data_key());
      const Layout layout = reader.read_layout({entry.what.kind, entry.key}, *object);
      if (entry.what.kind == Kind::kPack) {
        check_pack(entry, layout, reader, *object, problems);
      } else {
        check_content(entry, layout, reader.read_all(layout, *object));
      }
    } catch (const core::Error& error) {
      if (!detail::is_finding(error)) throw;
      problems.push_back({entry.key, error.message(), std::string(meaning_of(entry.what.kind))});
    }
    return problems;
  }

  void check_content(const SurveyedObject& entry, const Layout& layout, const core::Bytes& bytes) {
    switch (entry.what.kind) {
      case Kind::kWalSegment:
      case Kind::kWalTail: return check_wal(entry, layout, bytes);
      case Kind::kHistory:
      case Kind::kPageChanges: return;
      default: break;
    }
    detail::reading("its content", [&] { check_json(entry, core::parse_json(core::as_text(bytes))); });
  }

  void check_json(const SurveyedObject& entry, const core::json::value& value) {
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

  void check_record(const SurveyedObject& entry, BackupRecord record) {
    if (record.backup != entry.what.backup || record.instance != entry.what.instance) throw of_another("backup");
    if (record.attempt != entry.what.attempt) throw of_another("attempt");
    const core::LockGuard lock(mutex_);
    survey_.attempts.at(detail::attempt_name(entry.what)).record = std::move(record);
  }

  /// One after the other: a pack may be large when it is decompressed.
  void check_pack(const SurveyedObject& entry, const Layout& layout, ContainerReader& reader, core::ByteSpan object,
                  Problems& problems) {
    auto found = detail::check_groups(reader, layout, object, VerifyLevel::kDecode);
    problems.insert(problems.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    const core::LockGuard lock(mutex_);
    group_sizes_.note(entry.what.pack, layout);
  }

  void check_wal(const SurveyedObject& entry, const Layout& layout, const core::Bytes& content) {
    const std::string mac = stored_content_mac(layout);
    if (wal_content_mac(repository_.data_key(), content) != mac) {
      throw core::Error(core::Code::kCorruptData, "its content is not the one that its meta tells of");
    }
    if (entry.what.kind != Kind::kWalSegment) return;
    const core::LockGuard lock(mutex_);
    digests_[entry.key.substr(0, entry.key.rfind('.'))].insert(mac);
  }

  void check_segment_copies() {
    for (const auto& [segment, digests] : digests_) {
      if (digests.size() < 2) continue;
      add_problem(segment, "two writers stored different contents for this segment",
                  "times that need this WAL cannot be reached");
    }
  }

  void check_backup(SurveyedAttempt& backup) {
    if (backup.has_record) ++report_.backups;
    if (!backup.condemned) check_record_is_there(backup);
    const std::string key = manifest_name(backup.instance, backup.id, backup.attempt).key;
    if (backup.condemned && is_gone(key)) return;  // swept meanwhile
    if (backup.has_manifest) {
      guarded(key, meaning_of(Kind::kManifest), [&] { check_manifest(backup, key); });
    } else if (backup.has_record && !backup.condemned && is_gone(key)) {
      add_problem(key, "the object is not in the store", meaning_of(Kind::kManifest));
    }
    if (!backup.record || backup.condemned) return;
    guarded(wal_prefix(backup.instance), "the backup cannot be brought to a consistent state",
            [&] { check_wal_of(backup); });
  }

  void check_record_is_there(SurveyedAttempt& backup) {
    const std::string key = backup_record_name(backup.instance, backup.id, backup.attempt).key;
    if (!gone_.contains(key) || !is_gone(key)) return;
    backup.condemned = was_removed(backup);
    if (!backup.condemned) add_problem(key, "the object is not in the store", meaning_of(Kind::kBackupRecord));
  }

  /// On purpose, since it was listed: its marks go last.
  bool was_removed(const SurveyedAttempt& backup) {
    return repository_.is_condemned(backup.instance, backup.id, backup.attempt) ||
           is_gone(manifest_name(backup.instance, backup.id, backup.attempt).key);
  }

  bool is_gone(const std::string& key) { return !repository_.store().head(key); }
  bool is_missing(const std::string& key) {
    return (survey_.find(key) == nullptr || gone_.contains(key)) && is_gone(key);
  }

  void check_manifest(const SurveyedAttempt& backup, const std::string& key) {
    const ObjectName name{Kind::kManifest, key};
    ManifestReader manifest =
        backup.record ? ManifestReader(repository_, *backup.record) : ManifestReader(repository_, name);
    detail::check_manifest_header(repository_, name, manifest);
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

  void require_pack(const ObjectId& pack, const SurveyedAttempt& backup) {
    const std::string key = pack_key(pack);
    if (missing_.contains(pack) || !is_missing(key)) return;
    missing_.insert(pack);
    add_problem(key, fmt::format("backup '{}' needs it, and it is not in the store", backup.id),
                meaning_of(Kind::kPack));
  }

  void check_wal_of(const SurveyedAttempt& backup) {
    const BackupRecord& record = *backup.record;
    if (record.stop_lsn <= record.start_lsn) return;
    WalStore wal(repository_, backup.instance, record.wal_segment_size);
    if (const auto missing = wal.first_missing(record.timeline, record.start_lsn, record.stop_lsn)) {
      throw core::Error(core::Code::kWalGap,
                        fmt::format("backup '{}' needs WAL segment {}, and it is not in the store", backup.id,
                                    segment_name(record.timeline, *missing, record.wal_segment_size)));
    }
    const std::string history =
        fmt::format("{}{}.history", wal_prefix(backup.instance), detail::timeline_text(record.timeline));
    if (record.timeline > 1 && is_missing(history)) {
      throw core::Error(core::Code::kWalGap, fmt::format("the history of timeline {} is missing", record.timeline));
    }
  }

  void find_orphans() {
    const bool writing = std::ranges::any_of(
        survey_.attempts, [](const auto& entry) { return entry.second.marked && !entry.second.has_record; });
    for (const SurveyedObject& entry : survey_.objects) {
      const std::string why = why_orphan(entry, writing);
      if (!why.empty()) report_.orphans.push_back({entry.key, entry.size, why});
    }
    for (const auto& [key, backup] : survey_.attempts) {
      const std::string record = instance_record_name(backup.instance).key;
      if (backup.condemned && gone_.contains(record)) continue;  // the whole instance was removed meanwhile
      if (!backup.has_record || !lacking_.insert(backup.instance).second) continue;
      if (is_missing(record)) add_problem(record, "the object is not in the store", meaning_of(Kind::kInstanceRecord));
    }
  }

  [[nodiscard]] std::string why_orphan(const SurveyedObject& entry, bool writing) const {
    if (entry.what.kind == Kind::kPack && !needed_.contains(entry.what.pack)) {
      return writing ? "nothing refers to it yet: a backup is being written, or an attempt at one failed"
                     : "nothing refers to it: of an attempt that failed, or of a backup that was removed";
    }
    if (entry.what.kind == Kind::kManifest) {
      const SurveyedAttempt& backup = survey_.attempts.at(detail::attempt_name(entry.what));
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
  detail::VerifySurvey survey_;
  std::set<ObjectId> needed_;
  std::set<ObjectId> missing_;
  std::set<std::string> lacking_;  // instances that were asked after
  core::Mutex mutex_;
  VerifyAllReport report_;
  /// What was listed and not given.
  std::set<std::string> gone_;
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
