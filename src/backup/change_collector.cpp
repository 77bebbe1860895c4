#include "backup/change_collector.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "backup/change_tracker.h"
#include "backup/known_damage.h"
#include "core/error.h"
#include "core/log.h"
#include "postgres/timeline_history.h"
#include "postgres/wal_parser.h"
#include "repository/page_change_objects.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using postgres::Lsn;
using postgres::TimelineId;

/// How many segments of WAL are rather read than taken from an object that says more than was asked for.
constexpr std::uint64_t kParsedInstead = 16;

/// Records that begin in [from, to).
struct Range {
  Lsn from;
  Lsn to;
};

/// The answer is no, and why; caught below.
struct Unproven {
  std::string reason;
  bool wal_missing = false;
};

class Collector {
 public:
  Collector(repository::Repository& repository, const ChangesRequest& request, std::stop_token stop)
      : repository_(repository),
        request_(request),
        stop_(std::move(stop)),
        wal_(repository, request.instance, request.segment_size) {}

  CollectedChanges collect() {
    if (request_.from.lsn >= request_.to.lsn) {
      throw core::Error(core::Code::kInvalidArgument,
                        fmt::format("there is no WAL from {} to {}", postgres::format_lsn(request_.from.lsn),
                                    postgres::format_lsn(request_.to.lsn)));
    }
    try {
      find_branch();
      read_objects();
      if (!parse_instead_of_early()) read_early();
      for (const Range& hole : holes()) parse(hole);
    } catch (const Unproven& e) {
      result_.changes.note_unproven(e.reason);
      result_.wal_missing = e.wal_missing;
    }
    result_.unproven = result_.changes.unproven();
    return std::move(result_);
  }

 private:
  void find_branch();
  void read_objects();
  void read_object(const repository::PageChangeObject& object, Lsn end);
  bool parse_instead_of_early();
  void read_early();
  [[nodiscard]] std::vector<Range> holes();
  void parse(const Range& hole);
  static void feed(postgres::WalParser& parser, Lsn at, core::ByteSpan bytes);
  core::Bytes read_segment(postgres::SegmentNumber segment);
  std::optional<core::Bytes> read_segment(TimelineId timeline, postgres::SegmentNumber segment);
  [[nodiscard]] Lsn record_from(Lsn lsn) const { return first_record_from(lsn, request_.segment_size); }
  void check_stop() const {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the search for changed pages was stopped");
  }

  repository::Repository& repository_;
  const ChangesRequest& request_;
  const std::stop_token stop_;
  repository::WalStore wal_;
  /// The ancestors of the branch, oldest first, and the branch itself, each with where it ends.
  std::vector<std::pair<TimelineId, Lsn>> branch_;
  std::vector<Range> covered_;
  /// Objects that begin before the request does, and the ends of their timelines.
  std::vector<std::pair<repository::PageChangeObject, Lsn>> early_;
  CollectedChanges result_;
};

void Collector::find_branch() {
  const TimelineId branch = request_.to.timeline;
  std::vector<postgres::TimelineSwitch> history;
  if (branch.value > 1) {
    const auto content = wal_.get_history(branch.value);
    if (!content) throw Unproven{fmt::format("the history of timeline {} is not in the archive", branch.value)};
    history = postgres::parse_timeline_history(core::as_text(*content));
  }
  const Lsn last = std::max(request_.base_stop, request_.from.lsn + 1);
  if (postgres::timeline_at(history, branch, request_.from.lsn) != request_.from.timeline ||
      postgres::timeline_at(history, branch, {last.value - 1}) != request_.from.timeline) {
    throw Unproven{fmt::format("the base was taken on timeline {}, which timeline {} had left before the base's end",
                               request_.from.timeline.value, branch.value)};
  }
  for (const auto& ancestor : history) branch_.emplace_back(ancestor.timeline, ancestor.end);
  branch_.emplace_back(branch, Lsn{UINT64_MAX});
}

/// An ancestor's objects may go on where the branch has left it, and a timeline's first segment begins with its
/// ancestor's records: both say no less than what happened on the branch.
void Collector::read_objects() {
  for (const auto& [timeline, end] : branch_) {
    for (const auto& object : repository::list_page_changes(repository_, request_.instance, timeline.value)) {
      check_stop();
      if (object.to <= request_.from.lsn.value || object.from >= std::min(request_.to.lsn, end).value) continue;
      if (object.from < request_.from.lsn.value) {
        early_.emplace_back(object, end);
      } else {
        read_object(object, end);
      }
    }
  }
}

void Collector::read_object(const repository::PageChangeObject& object, Lsn end) {
  try {
    const auto content = repository::get_page_changes(repository_, request_.instance, object);
    if (!content) return;
    result_.changes.merge(PageChanges::decode(*content));
    covered_.push_back({{object.from}, std::min(Lsn{object.to}, end)});
    ++result_.objects_read;
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code())) throw;
    core::log_warning("wal.changes_damaged", "what a stretch of WAL changed is read from the WAL itself",
                      {{"instance", request_.instance}, {"error", e.what()}});
  }
}

/// What an object says that begins before the request may have happened before it, such as all that made the cluster.
/// The WAL is exact, and the rest of such an object is short where a backup began in it. False if the WAL is not there.
bool Collector::parse_instead_of_early() {
  if (early_.empty()) return true;
  const auto missing = holes();
  if (missing.empty()) return true;
  const Range& first = missing.front();
  if (first.from > record_from(request_.from.lsn)) return true;
  if (first.to - first.from > kParsedInstead * request_.segment_size) return false;
  try {
    parse(first);
  } catch (const Unproven&) {
    return false;
  }
  covered_.push_back({request_.from.lsn, first.to});
  return true;
}

void Collector::read_early() {
  for (const auto& [object, end] : early_) read_object(object, end);
}

std::vector<Range> Collector::holes() {
  std::ranges::sort(covered_, {}, &Range::from);
  std::vector<Range> result;
  Lsn next = record_from(request_.from.lsn);
  const Lsn end = record_from(request_.to.lsn);
  for (const Range& range : covered_) {
    if (range.from > next) result.push_back({next, std::min(range.from, end)});
    next = std::max(next, record_from(range.to));
    if (next >= end) break;
  }
  if (next < end) result.push_back({next, end});
  return result;
}

/// Until the record is known that ends where no other can begin before the hole's end.
void Collector::parse(const Range& hole) {
  ChangeTracker tracker(request_.segment_size);
  const auto reached = [&] { return tracker.reached().value_or(hole.from) >= hole.to; };
  postgres::WalParser parser(request_.segment_size, [&](const postgres::WalRecord& record) {
    if (record.start >= hole.from && !reached()) tracker.note(record);
  });
  for (auto segment = postgres::segment_of(hole.from, request_.segment_size); !reached(); ++segment) {
    check_stop();
    const core::Bytes bytes = read_segment(segment);
    ++result_.segments_read;
    feed(parser, postgres::segment_start(segment, request_.segment_size), bytes);
    if (!reached() && (parser.at_end() || bytes.size() < request_.segment_size)) {
      throw Unproven{fmt::format("the WAL in the archive does not reach {}", postgres::format_lsn(hole.to)), true};
    }
  }
  for (const ChangedStretch& stretch : tracker.take()) result_.changes.merge(stretch.changes);
}

void Collector::feed(postgres::WalParser& parser, Lsn at, core::ByteSpan bytes) {
  try {
    parser.feed(at, bytes);
  } catch (const core::Error& e) {
    if (e.code() != core::Code::kCorruptData) throw;
    throw Unproven{e.what()};
  }
}

/// Where one timeline follows another, both have the segment; the later one goes on as the branch does.
core::Bytes Collector::read_segment(postgres::SegmentNumber segment) {
  const Lsn start = postgres::segment_start(segment, request_.segment_size);
  for (std::size_t i = branch_.size(); i-- > 0;) {
    const auto& [timeline, end] = branch_[i];
    const Lsn begin = i == 0 ? Lsn{} : branch_[i - 1].second;
    if (end <= start || postgres::segment_of(begin, request_.segment_size) > segment) continue;
    if (auto bytes = read_segment(timeline, segment)) {
      if (start + bytes->size() > end) bytes->resize(static_cast<std::size_t>(end - start));
      return std::move(*bytes);
    }
  }
  throw Unproven{fmt::format("the WAL from {} on is not in the archive", postgres::format_lsn(start)), true};
}

std::optional<core::Bytes> Collector::read_segment(TimelineId timeline, postgres::SegmentNumber segment) {
  try {
    auto data = wal_.read_segment(timeline.value, segment);
    if (!data) return std::nullopt;
    return std::move(data->bytes);
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code()) && e.code() != core::Code::kStoreConflict) throw;
    throw Unproven{e.what()};
  }
}

}  // namespace

CollectedChanges collect_page_changes(repository::Repository& repository, const ChangesRequest& request,
                                      std::stop_token stop) {
  return Collector(repository, request, std::move(stop)).collect();
}

}  // namespace backstay::backup
