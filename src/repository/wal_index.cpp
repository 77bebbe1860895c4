// The part of WalStore that answers questions about times: segment indexes, their roll-ups and their cache.
#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "repository/container_reader.h"
#include "repository/json_fields.h"
#include "repository/parallel.h"
#include "repository/tail_walk.h"
#include "repository/wal_names.h"
#include "repository/wal_store.h"

namespace backstay::repository {
namespace {

/// Requests under way at once; each waits for the store most of its time.
constexpr unsigned kThreads = 8;

SegmentIndex index_of(const Layout& layout) {
  return detail::reading(layout.name.key, [&] {
    const core::json::value meta = core::parse_json(core::as_text(layout.meta));
    return segment_index_from_json(core::require_object(core::as_object(meta), "index"));
  });
}

SegmentIndex unknown_index(std::uint32_t timeline, std::uint64_t segment) {
  SegmentIndex index;
  index.timeline = timeline;
  index.segment = segment;
  index.incomplete = true;
  return index;
}

std::vector<SegmentIndex> decode_rollup(std::string_view key, core::ByteSpan content) {
  return detail::reading(key, [&] {
    const core::json::value value = core::parse_json(core::as_text(content));
    const core::json::array* const segments = core::find_array(core::as_object(value), "segments");
    std::vector<SegmentIndex> indexes;
    if (segments == nullptr) return indexes;
    for (const core::json::value& segment : *segments) indexes.push_back(segment_index_from_json(segment));
    return indexes;
  });
}

}  // namespace

void WalStore::remember(const SegmentIndex& index) {
  const core::LockGuard lock(mutex_);
  known_[index.timeline].complete[index.segment] = index;
}

std::optional<SegmentIndex> WalStore::known(std::uint32_t timeline, std::uint64_t segment) {
  const core::LockGuard lock(mutex_);
  const auto& complete = known_[timeline].complete;
  const auto at = complete.find(segment);
  if (at == complete.end()) return std::nullopt;
  return at->second;
}

void WalStore::read_rollups(std::uint32_t timeline) {
  {
    const core::LockGuard lock(mutex_);
    if (known_[timeline].rollups_read) return;
  }
  const std::string prefix = timeline_prefix(timeline) + "index/";
  std::vector<std::string> keys;
  repository_.store().list(prefix, "", [&](const blob::ObjectInfo& object) {
    const auto name = detail::parse_wal_name(std::string_view(object.key).substr(prefix.size()), segment_size_);
    if (name && !name->tail) keys.push_back(object.key);
    return true;
  });
  detail::parallel_each(keys.size(), kThreads, [&](std::size_t i) {
    try {
      const auto content = repository_.get_sealed({Kind::kWalIndex, keys[i]});
      if (!content) return;
      for (const SegmentIndex& index : decode_rollup(keys[i], *content)) {
        if (index.timeline == timeline) remember(index);
      }
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      core::log_warning("wal.roll_up_damaged", "a roll-up of segment indexes is passed over; the segments are read",
                        {{"instance", instance_}, {"object", keys[i]}, {"error", error.what()}});
    }
  });
  const core::LockGuard lock(mutex_);
  known_[timeline].rollups_read = true;
}

void WalStore::write_rollup(std::uint32_t timeline, std::uint64_t segment, std::uint64_t epoch) {
  const std::uint64_t first = segment / detail::kRollUpSize * detail::kRollUpSize;
  core::json::array segments;
  const std::vector<StoredSegment> listed = list(timeline, first, segment);
  read_missing(timeline, listed);
  for (const StoredSegment& stored : listed) {
    if (stored.complete.empty()) continue;
    if (const auto index = known(timeline, stored.segment)) segments.push_back(to_json(*index));
  }
  const ObjectName name{Kind::kWalIndex,
                        fmt::format("{}index/{}{}", timeline_prefix(timeline),
                                    segment_name(timeline, first, segment_size_), detail::wal_object_suffix(epoch))};
  const core::json::object content{{"segments", std::move(segments)}};
  repository_.put_sealed(name, core::as_bytes(core::to_text(content)));
}

void WalStore::read_missing(std::uint32_t timeline, const std::vector<StoredSegment>& listed) {
  read_rollups(timeline);
  std::vector<const StoredSegment*> missing;
  for (const StoredSegment& segment : listed) {
    if (!segment.complete.empty() && !known(timeline, segment.segment)) missing.push_back(&segment);
  }
  detail::parallel_each(missing.size(), kThreads, [&](std::size_t i) { read_footer(timeline, *missing[i]); });
}

void WalStore::read_footer(std::uint32_t timeline, const StoredSegment& stored) {
  ContainerReader reader(repository_.data_key());
  bool damaged = false;
  for (const std::string& key : stored.complete) {
    try {
      if (const auto layout = reader.fetch_layout(repository_.store(), {Kind::kWalSegment, key})) {
        remember(index_of(*layout));
        return;
      }
    } catch (const core::Error& error) {
      if (!detail::is_damaged(error)) throw;
      damaged = true;
      core::log_warning("wal.index_damaged", "the index of a stored WAL segment cannot be read",
                        {{"instance", instance_}, {"object", key}, {"error", error.what()}});
    }
  }
  if (damaged) remember(unknown_index(timeline, stored.segment));
}

std::optional<SegmentIndex> WalStore::tails_index(std::uint32_t timeline, const StoredSegment& stored) {
  ContainerReader reader(repository_.data_key());
  std::optional<SegmentIndex> merged;
  const auto walked = detail::walk_tails(stored, [&](const StoredTail& tail) {
    const auto layout = reader.fetch_layout(repository_.store(), {Kind::kWalTail, tail.key});
    if (!layout) return false;
    const SegmentIndex index = index_of(*layout);
    if (merged) {
      merged->merge(index);
    } else {
      merged = index;
    }
    return true;
  });
  if (walked.damage) {
    if (!merged) merged = unknown_index(timeline, stored.segment);
    merged->incomplete = true;
  }
  return merged;
}

std::optional<SegmentIndex> WalStore::segment_index(std::uint32_t timeline, std::uint64_t segment) {
  if (auto index = known(timeline, segment)) return index;
  const auto indexes = segment_indexes(timeline, segment, segment);
  if (indexes.empty()) return std::nullopt;
  return indexes.front();
}

std::vector<SegmentIndex> WalStore::segment_indexes(std::uint32_t timeline, std::uint64_t from, std::uint64_t to) {
  return segment_indexes(timeline, list(timeline, from, to));
}

std::vector<SegmentIndex> WalStore::segment_indexes(std::uint32_t timeline, const std::vector<StoredSegment>& listed) {
  read_missing(timeline, listed);
  std::vector<SegmentIndex> indexes;
  for (const StoredSegment& stored : listed) {
    auto index = stored.complete.empty() ? tails_index(timeline, stored) : known(timeline, stored.segment);
    // Tails that went away while we looked have become a whole segment or a longer tail.
    if (!index && stored.complete.empty() && !stored.tails.empty()) {
      const std::vector<StoredSegment> again = list(timeline, stored.segment, stored.segment);
      read_missing(timeline, again);
      index = known(timeline, stored.segment);
      if (!index && !again.empty()) index = tails_index(timeline, again.front());
    }
    if (index) indexes.push_back(std::move(*index));
  }
  return indexes;
}

}  // namespace backstay::repository
