#include "repository/chain_survey.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/manifest.h"
#include "repository/object_keys.h"
#include "repository/wal_names.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

/// Named one by one; of a store that lost everything more say nothing new.
constexpr std::size_t kMostNamed = 20;

void stop_if_asked(const std::stop_token& stop) {
  if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the look at the archive was stopped");
}

bool is_physical(const BackupRecord& record) { return record.mechanism == "physical"; }

}  // namespace

/// One listing of the instance.
struct ChainSurveyor::Seen {
  struct Backup {
    std::set<ObjectId> records = {};
    std::set<ObjectId> manifests = {};
    bool condemned = false;
  };
  std::map<std::string, Backup> backups = {};
  /// Names of segments and tails by timeline, without the timeline's prefix.
  std::map<std::uint32_t, std::vector<std::string>> wal = {};
  std::set<std::uint32_t> histories = {};
  std::optional<core::Timestamp> newest = {};
  std::set<ObjectId> condemned_attempts = {};

  /// Those of a backup that are stored.
  [[nodiscard]] std::set<ObjectId> attempts(const Backup& backup) const {
    std::set<ObjectId> stored;
    std::ranges::set_difference(backup.records, condemned_attempts, std::inserter(stored, stored.end()));
    return stored;
  }

  void add(const blob::ObjectInfo& object, const detail::ObjectKey& key) {
    newest = newest ? std::max(*newest, object.modified) : object.modified;
    switch (key.kind) {
      case Kind::kBackupRecord: backups[key.backup].records.insert(*key.attempt); break;
      case Kind::kManifest: backups[key.backup].manifests.insert(*key.attempt); break;
      case Kind::kCondemned:
        if (!key.attempt) backups[key.backup].condemned = true;
        if (key.attempt) condemned_attempts.insert(*key.attempt);
        break;
      case Kind::kHistory: histories.insert(key.timeline); break;
      case Kind::kWalSegment:
      case Kind::kWalTail: wal[key.timeline].push_back(object.key.substr(object.key.rfind('/') + 1)); break;
      default: break;
    }
  }
};

ChainSurveyor::ChainSurveyor(Repository& repository, PackListing& packs, std::string instance)
    : repository_(repository), packs_(packs), instance_(std::move(instance)) {}

ChainSurvey ChainSurveyor::survey(const std::stop_token& stop) {
  const Seen seen = list();
  stop_if_asked(stop);
  // What a manifest refers to was there before it, so that a listing that begins now has it.
  const bool learnt = learn(seen, stop);
  const auto since = learnt ? repository_.clock().steady_now() : core::SteadyTime::min();
  ChainSurvey survey;
  survey.newest_object = seen.newest;
  check_records(seen, survey);
  check_packs(since, survey, stop);
  judge_backups(survey);
  check_wal(seen, survey);
  return survey;
}

ChainSurveyor::Seen ChainSurveyor::list() const {
  Seen seen;
  const std::string prefix = fmt::format("{}{}/", instances_prefix(), instance_);
  repository_.store().list(prefix, "", [&](const blob::ObjectInfo& object) {
    if (const auto key = detail::parse_object_key(object.key)) seen.add(object, *key);
    return true;
  });
  return seen;
}

bool ChainSurveyor::learn(const Seen& seen, const std::stop_token& stop) {
  bool learnt = false;
  std::erase_if(known_, [&](const auto& known) {
    const auto found = seen.backups.find(known.first);
    return found != seen.backups.end() && found->second.condemned;
  });
  for (const auto& [id, backup] : seen.backups) {
    auto attempts = seen.attempts(backup);
    if (attempts.empty() || backup.condemned) continue;
    stop_if_asked(stop);
    const auto had = known_.find(id);
    if (had == known_.end() || had->second.attempts != attempts) {
      auto record = repository_.backup(instance_, id);
      if (!record) continue;
      known_[id] = {.record = std::move(*record), .attempts = std::move(attempts)};
    }
    Known& known = known_[id];
    if (known.packs_known || !backup.manifests.contains(known.record.attempt)) continue;
    const auto packs = packs_of(known.record);
    std::vector<ObjectId> both;
    std::ranges::set_union(needed_, packs, std::back_inserter(both));
    needed_ = std::move(both);
    known.packs_known = learnt = true;
  }
  return learnt;
}

std::vector<ObjectId> ChainSurveyor::packs_of(const BackupRecord& record) const {
  auto packs = ManifestReader(repository_, manifest_name(record)).packs();
  std::ranges::sort(packs);
  return packs;
}

bool ChainSurveyor::is_stored(const BackupRecord& record) const {
  return !repository_.is_condemned(record.instance, record.backup, record.attempt) &&
         repository_.store().head(backup_record_name(record).key);
}

/// What is removed on purpose is seen condemned long before; and what is listed may be a moment old.
void ChainSurveyor::check_records(const Seen& seen, ChainSurvey& survey) {
  auto& store = repository_.store();
  std::erase_if(known_, [&](const auto& entry) {
    const auto& id = entry.first;
    const BackupRecord& record = entry.second.record;
    const auto found = seen.backups.find(id);
    if (found != seen.backups.end() && found->second.records.contains(record.attempt)) return false;
    if (repository_.is_condemned(instance_, id, record.attempt)) return true;
    const std::string key = backup_record_name(record).key;
    if (!store.head(key)) survey.missing.push_back({id, key});
    return false;
  });
  for (const auto& [id, known] : known_) {
    const auto found = seen.backups.find(id);
    const ObjectId& attempt = known.record.attempt;
    if (found == seen.backups.end() || !found->second.records.contains(attempt)) continue;
    if (found->second.manifests.contains(attempt)) continue;
    const std::string key = manifest_name(known.record).key;
    if (!store.head(key) && is_stored(known.record)) survey.missing.push_back({id, key});
  }
}

void ChainSurveyor::check_packs(core::SteadyTime since, ChainSurvey& survey, const std::stop_token& stop) {
  const auto there = packs_.get(repository_, since);
  std::vector<ObjectId> absent;
  std::ranges::set_difference(needed_, *there, std::back_inserter(absent));
  if (absent.empty() || find_needy(absent, survey, stop)) return;
  // Packs of backups that have been removed.
  needed_.clear();
  for (auto& [id, known] : known_) known.packs_known = false;
}

bool ChainSurveyor::find_needy(const std::vector<ObjectId>& absent, ChainSurvey& survey, const std::stop_token& stop) {
  std::set<ObjectId> needed;
  std::map<ObjectId, bool> present;
  for (const auto& [id, known] : known_) {
    if (!known.packs_known) continue;
    stop_if_asked(stop);
    std::vector<ObjectId> lost;
    std::ranges::set_intersection(packs_of(known.record), absent, std::back_inserter(lost));
    needed.insert(lost.begin(), lost.end());
    lost.resize(std::min(lost.size(), kMostNamed));
    for (const ObjectId& pack : lost) {
      const auto found = present.find(pack);
      const bool there = found != present.end() ? found->second : repository_.store().head(pack_key(pack)).has_value();
      present[pack] = there;
      if (!there && is_stored(known.record)) survey.missing.push_back({id, pack_key(pack)});
    }
  }
  return needed.size() == absent.size();
}

void ChainSurveyor::judge_backups(ChainSurvey& survey) const {
  for (const auto& [id, known] : known_) {
    const BackupRecord& record = known.record;
    if (is_physical(record)) survey.newest_start = std::max(survey.newest_start.value_or(0), record.start_lsn);
    if (std::ranges::find(survey.missing, id, &MissingObject::backup) != survey.missing.end()) continue;
    if (record.problem.starts_with(kMissingObject)) survey.whole_again.push_back(id);
    if (!is_physical(record)) continue;
    survey.newest_base_start = std::max(survey.newest_base_start.value_or(0), record.start_lsn);
  }
}

void ChainSurveyor::check_wal(const Seen& seen, ChainSurvey& survey) const {
  std::uint64_t first = UINT64_MAX;
  for (const auto& [id, known] : known_) {
    if (!is_physical(known.record)) continue;
    survey.segment_size = known.record.wal_segment_size;
    first = std::min(first, known.record.start_lsn / survey.segment_size);
  }
  if (survey.segment_size == 0) return;
  // A segment in which a branch begins is there twice; the branch has all of it.
  std::map<std::uint64_t, std::uint64_t> readable;
  for (const auto& [timeline, names] : seen.wal) {
    std::map<std::uint64_t, StoredSegment> segments;
    for (const std::string& text : names) {
      const auto name = detail::parse_wal_name(text, survey.segment_size);
      if (!name) continue;
      StoredSegment& segment = segments[name->segment];
      segment.segment = name->segment;
      if (name->tail) {
        segment.tails.push_back({name->epoch, name->from, name->to, text});
      } else {
        segment.complete.push_back(text);
      }
    }
    for (auto& [number, segment] : segments) {
      std::ranges::sort(segment.tails, {}, &StoredTail::from);
      const std::uint64_t bytes = segment.contiguous(survey.segment_size);
      readable[number] = std::max(readable[number], bytes);
      survey.end_lsn = number * survey.segment_size + bytes;
    }
    survey.timeline = timeline;
    if (timeline > 1 && !seen.histories.contains(timeline)) {
      survey.missing.push_back(
          {"", fmt::format("{}{}.history", wal_prefix(instance_), detail::timeline_text(timeline))});
    }
  }
  std::uint64_t next = first;
  for (const auto& [number, bytes] : readable) {
    if (number < first) continue;
    if (number > next) survey.holes.push_back({next, number - 1});
    next = bytes == survey.segment_size || number == readable.rbegin()->first ? number + 1 : number;
  }
}

}  // namespace backstay::repository
