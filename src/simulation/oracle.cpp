#include "simulation/oracle.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/manifest.h"
#include "repository/pack_reader.h"
#include "repository/wal_store.h"

namespace backstay::simulation {
namespace {

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw Broken(otherwise);
}

void compare_file(const ModelFile& file, const repository::FileEntry& entry, repository::PackReader& reader) {
  require(entry.path == file.path && entry.size == file.size,
          fmt::format("'{}' of {} bytes instead of '{}' of {}", entry.path, entry.size, file.path, file.size));
  core::Bytes bytes(entry.size);
  reader.read_file(entry.extents, 0, bytes);
  require(core::as_text(bytes) == core::as_text(file.content()), fmt::format("'{}' has another content", file.path));
}

}  // namespace

bool Oracle::has_confirmed_left() const {
  return std::ranges::any_of(promises, [](const auto& p) { return p.second.must_be_there() && p.second.confirmed; });
}

std::uint64_t Oracle::oldest_start() const {
  std::uint64_t oldest = UINT64_MAX;
  for (const auto& [id, promise] : promises) {
    if (promise.must_be_there()) oldest = std::min(oldest, promise.start_lsn);
  }
  return oldest == UINT64_MAX ? 0 : oldest;
}

void Oracle::note(const model::RetentionQuestion& question, const model::RetentionDecision& decision) {
  std::uint64_t oldest = UINT64_MAX;
  bool confirmed_left = false;
  for (std::size_t i = 0; i < question.backups.size(); ++i) {
    const auto& backup = question.backups[i];
    if (decision.backups[i].goes) {
      promises[backup.id].may_go = true;
    } else {
      confirmed_left = confirmed_left || backup.confirmed;
      oldest = std::min(oldest, backup.start_lsn);
    }
  }
  const bool any_goes = std::ranges::any_of(decision.backups, [](const auto& verdict) { return verdict.goes; });
  require(!any_goes || confirmed_left, "the retention takes the last confirmed backup");
  for (const auto& wal : decision.wal) {
    require(wal.from && wal.from->lsn <= oldest, "the retention takes WAL that a backup that stays begins with");
    wal_cut = std::max(wal_cut, wal.from->lsn);
  }
}

void Oracle::check(repository::Repository& repository, const Bucket& bucket) {
  const auto ids = repository.backup_ids(server_.instance());
  const std::set<std::string> listed(ids.begin(), ids.end());
  for (const auto& [id, promise] : promises) {
    if (!promise.must_be_there()) continue;
    require(listed.contains(id), fmt::format("backup {} was stored and is not listed", id));
  }
  for (const std::string& id : ids) {
    try {
      check_backup(repository, bucket, id);
    } catch (const std::exception& error) {
      throw Broken(fmt::format("backup {}: {}", id, error.what()));
    }
  }
  const std::uint64_t oldest = std::max(oldest_start(), wal_cut);
  if (oldest_start() != 0 && oldest < acknowledged) check_wal(repository, bucket, oldest, acknowledged, gaps);
}

void Oracle::check_backup(repository::Repository& repository, const Bucket& bucket, const std::string& id) {
  const auto at = promises.find(id);
  require(at != promises.end(), "nobody wrote it");
  require(bucket.find(repository::condemned_name(server_.instance(), id).key) == nullptr, "it is listed and condemned");
  const auto record = repository.backup(server_.instance(), id);
  require(record.has_value(), "it is listed and has no record");
  const auto attempt = at->second.attempts.find(record->details.at("attempt").to_number<std::int64_t>());
  require(attempt != at->second.attempts.end(), "its record is of no attempt");
  require(!at->second.stored || record->start_lsn >= at->second.start_lsn,
          "an attempt that was dead has taken the place of the one that was stored");
  repository::ManifestReader manifest(repository, *record);

  std::map<std::string, Bucket::Content> objects;
  const auto note = [&](const std::string& key) {
    const Bucket::Object* const object = bucket.find(key);
    require(object != nullptr, fmt::format("'{}' is gone", key));
    objects[key] = object->content;
  };
  note(repository::manifest_name(*record).key);
  for (const auto& pack : manifest.packs()) note(repository::pack_key(pack));
  if (seen_[id] != objects) {
    repository::PackCache cache(repository);
    repository::PackReader reader(cache);
    for (const ModelFile& file : attempt->second.files) {
      const auto entry = manifest.next();
      require(entry.has_value(), fmt::format("'{}' is missing", file.path));
      compare_file(file, *entry, reader);
    }
    require(!manifest.next().has_value(), "it has more files than the server had");
    seen_[id] = std::move(objects);
  }
  check_wal(repository, bucket, record->start_lsn, record->stop_lsn);
}

void Oracle::check_segment(repository::WalStore& wal, const Bucket& bucket, const repository::StoredSegment& stored) {
  std::map<std::string, Bucket::Content> objects;
  for (const auto& key : stored.complete) objects[key] = bucket.find(key)->content;
  for (const auto& tail : stored.tails) objects[tail.key] = bucket.find(tail.key)->content;
  if (seen_wal_[stored.segment] == objects) return;
  const std::uint64_t start = stored.segment * kSegmentSize;
  const std::uint64_t end = start + stored.contiguous(kSegmentSize);
  const auto data = wal.read_segment(1, stored);
  require(data && start + data->bytes.size() == end, fmt::format("segment {} cannot be read", stored.segment));
  require(core::as_text(data->bytes) == core::as_text(server_.wal(start, end)),
          fmt::format("segment {} has another content", stored.segment));
  auto index = wal.segment_index(1, stored.segment);
  const auto expected = ModelServer::index(start, end);
  // Tails of two writers may overlap, and what is in both counts for both.
  if (index && stored.complete.empty() && index->commits > expected.commits) index->commits = expected.commits;
  require(index && *index == expected,
          fmt::format("the index of segment {} does not tell its commits", stored.segment));
  seen_wal_[stored.segment] = std::move(objects);
}

void Oracle::check_wal(repository::Repository& repository, const Bucket& bucket, std::uint64_t from, std::uint64_t to,
                       const std::vector<std::pair<std::uint64_t, std::uint64_t>>& lacking) {
  repository::WalStore wal(repository, server_.instance(), kSegmentSize);
  const std::uint64_t last = (to - 1) / kSegmentSize;
  const auto may_lack = [&](std::uint64_t segment) {
    return std::ranges::any_of(lacking, [&](const auto& gap) {
      return gap.first < (segment + 1) * kSegmentSize && gap.second > segment * kSegmentSize;
    });
  };
  std::uint64_t next = from / kSegmentSize;
  for (const auto& stored : wal.list(1, next, last)) {
    for (; next < stored.segment && may_lack(next); ++next) {
    }
    require(stored.segment == next, fmt::format("the archive has a hole at segment {}", next));
    const std::uint64_t start = next * kSegmentSize;
    const std::uint64_t needed = next == last ? to - start : kSegmentSize;
    require(
        stored.contiguous(kSegmentSize) >= needed || may_lack(next),
        fmt::format("the archive ends at {} of segment {}, not at {}", stored.contiguous(kSegmentSize), next, needed));
    check_segment(wal, bucket, stored);
    ++next;
  }
  for (; next <= last && may_lack(next); ++next) {
  }
  require(next > last, fmt::format("the archive ends before segment {}", next));
}

}  // namespace backstay::simulation
