#include "repository/segment_index.h"

#include <algorithm>

#include "repository/json_fields.h"

namespace backstay::repository {
namespace {

using core::json::object;
using detail::number_text;
using detail::put_time;
using detail::read_number;

SegmentIndex read_index(const object& from) {
  SegmentIndex index;
  index.timeline = detail::read_u32(from, "timeline");
  index.segment = read_number(from, "segment");
  index.commits = read_number(from, "commits");
  index.first_commit_time = detail::find_time(from, "firstCommitTime");
  index.last_commit_time = detail::find_time(from, "lastCommitTime");
  index.min_commit_time = detail::find_time(from, "minCommitTime");
  index.max_commit_time = detail::find_time(from, "maxCommitTime");
  index.first_commit_lsn = read_number(from, "firstCommitLsn");
  index.last_commit_lsn = read_number(from, "lastCommitLsn");
  index.first_xid = detail::read_u32(from, "firstXid");
  index.last_xid = detail::read_u32(from, "lastXid");
  index.last_record_lsn = read_number(from, "lastRecordLsn");
  index.last_record_end = read_number(from, "lastRecordEnd");
  index.incomplete = core::find_bool(from, "incomplete").value_or(false);
  if (const core::json::array* const tablespaces = core::find_array(from, "tablespaces")) {
    for (const core::json::value& lsn : *tablespaces) index.tablespaces.push_back(detail::parse_number(lsn));
  }
  const core::json::array* const points = core::find_array(from, "restorePoints");
  if (points == nullptr) return index;
  for (const core::json::value& value : *points) {
    const object& point = core::as_object(value);
    index.restore_points.push_back({.name = core::require_string(point, "name"),
                                    .lsn = read_number(point, "lsn"),
                                    .time = detail::read_time(point, "time")});
  }
  return index;
}

}  // namespace

namespace {

/// Tails of two writers overlap: what both tell happened once.
template <typename Value>
void add_unknown(std::vector<Value>& to, const std::vector<Value>& from) {
  for (const Value& value : from) {
    if (std::ranges::find(to, value) == to.end()) to.push_back(value);
  }
}

}  // namespace

void SegmentIndex::merge(const SegmentIndex& later) {
  commits += later.commits;
  if (later.commits > 0) {
    if (!first_commit_time) {
      first_commit_time = later.first_commit_time;
      first_commit_lsn = later.first_commit_lsn;
      first_xid = later.first_xid;
    }
    last_commit_time = later.last_commit_time;
    last_commit_lsn = later.last_commit_lsn;
    last_xid = later.last_xid;
    min_commit_time = min_commit_time ? std::min(min_commit_time, later.min_commit_time) : later.min_commit_time;
    max_commit_time = std::max(max_commit_time, later.max_commit_time);
  }
  if (later.last_record_lsn > last_record_lsn) {
    last_record_lsn = later.last_record_lsn;
    last_record_end = later.last_record_end;
  }
  add_unknown(restore_points, later.restore_points);
  add_unknown(tablespaces, later.tablespaces);
  incomplete = incomplete || later.incomplete;
}

object to_json(const SegmentIndex& index) {
  object out{{"timeline", index.timeline},
             {"segment", number_text(index.segment)},
             {"commits", number_text(index.commits)},
             {"firstCommitLsn", number_text(index.first_commit_lsn)},
             {"lastCommitLsn", number_text(index.last_commit_lsn)},
             {"firstXid", index.first_xid},
             {"lastXid", index.last_xid},
             {"lastRecordLsn", number_text(index.last_record_lsn)},
             {"lastRecordEnd", number_text(index.last_record_end)}};
  put_time(out, "firstCommitTime", index.first_commit_time);
  put_time(out, "lastCommitTime", index.last_commit_time);
  put_time(out, "minCommitTime", index.min_commit_time);
  put_time(out, "maxCommitTime", index.max_commit_time);
  if (index.incomplete) out["incomplete"] = true;
  if (!index.tablespaces.empty()) {
    core::json::array tablespaces;
    for (const std::uint64_t lsn : index.tablespaces) tablespaces.emplace_back(number_text(lsn));
    out["tablespaces"] = std::move(tablespaces);
  }
  if (!index.restore_points.empty()) {
    core::json::array points;
    for (const RestorePoint& point : index.restore_points) {
      points.push_back(
          object{{"name", point.name}, {"lsn", number_text(point.lsn)}, {"time", core::format_time(point.time)}});
    }
    out["restorePoints"] = std::move(points);
  }
  return out;
}

SegmentIndex segment_index_from_json(const core::json::value& value) {
  return detail::reading("a segment index", [&] { return read_index(core::as_object(value)); });
}

}  // namespace backstay::repository
