#include "backup/recovery_rules.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::backup {
namespace {

[[noreturn]] void out_of_reach(const std::string& message) {
  throw core::Error(core::Code::kRecoveryOutOfReach, message);
}

postgres::Lsn stop_of(const repository::BackupRecord& backup) { return {backup.stop_lsn}; }

/// A window does not begin inside of a gap. The gap stays, as the reason why.
void trim(RecoveryWindow& window) {
  for (const auto& gap : window.gaps) {
    if (gap.from < *window.earliest && *window.earliest < gap.to) window.earliest = gap.to;
  }
  if (*window.latest < *window.earliest) window.earliest = window.latest = std::nullopt;
}

}  // namespace

postgres::Lsn RecoveryRules::Run::begin(std::uint64_t segment_size) const {
  return postgres::segment_start(segments.front()->name.segment, segment_size);
}
postgres::Lsn RecoveryRules::Run::end(std::uint64_t segment_size) const {
  return postgres::segment_start(segments.back()->name.segment, segment_size) + segments.back()->contiguous;
}

RecoveryRules::RecoveryRules(const ArchiveState& state, FindCommit find_commit)
    : state_(state), find_commit_(std::move(find_commit)) {
  choose_branch();
  make_runs();
}

/// The newest one, but rather one from which more WAL is replayed than one that is known to restore to damage.
const repository::BackupRecord& RecoveryRules::best_of(std::span<const repository::BackupRecord* const> backups,
                                                       postgres::Lsn stop) const {
  const auto good = std::ranges::find_if(backups.rbegin(), backups.rend(), [&](const auto* backup) {
    return backup->restore_problem.empty() && !tablespace_created({backup->start_lsn}, stop, branch_);
  });
  return good == backups.rend() ? *backups.back() : **good;
}

/// The newest branch: the highest timeline that has WAL or a backup.
void RecoveryRules::choose_branch() {
  for (const auto& [timeline, segments] : state_.segments) {
    if (!segments.empty()) branch_ = std::max(branch_, timeline);
  }
  for (const auto& backup : state_.backups) branch_ = std::max(branch_, postgres::TimelineId{backup.timeline});
  if (const auto history = state_.histories.find(branch_); history != state_.histories.end()) {
    history_ = history->second;
  }
}

void RecoveryRules::make_runs() {
  // Of the segment in which a branch begins, the branch has a copy of its own, with what came before in it.
  std::map<postgres::SegmentNumber, const ArchivedSegment*> along;
  for (const auto& [timeline, segments] : state_.segments) {
    std::optional<postgres::Lsn> left;
    if (timeline != branch_) {
      const auto ancestor = std::ranges::find(history_, timeline, &postgres::TimelineSwitch::timeline);
      if (ancestor == history_.end()) continue;
      left = ancestor->end;
    }
    for (const auto& segment : segments) {
      if (!left || postgres::segment_start(segment.name.segment, state_.segment_size) < *left) {
        along[segment.name.segment] = &segment;
      }
    }
  }
  std::vector<Run> runs;
  for (const auto& [number, segment] : along) {
    const bool joins = !runs.empty() && runs.back().segments.back()->name.segment + 1 == number &&
                       runs.back().segments.back()->contiguous == state_.segment_size;
    if (!joins) runs.emplace_back();
    runs.back().segments.push_back(segment);
  }
  for (Run& run : runs) {
    place_backups(run);
    newest_has_backup_ = !run.backups.empty();
    if (!newest_has_backup_) continue;
    bound_run(run);
    runs_.push_back(std::move(run));
  }
}

void RecoveryRules::place_backups(Run& run) const {
  for (const auto& backup : state_.backups) {
    // Nothing rests on what cannot be restored.
    if (!backup.problem.empty()) continue;
    const postgres::TimelineId at_stop = postgres::timeline_at(history_, branch_, stop_of(backup));
    if (at_stop.value != backup.timeline) continue;
    if (backup.start_lsn < run.begin(state_.segment_size).value) continue;
    if (backup.stop_lsn > run.end(state_.segment_size).value) continue;
    run.backups.push_back(&backup);
  }
  std::ranges::sort(run.backups, {}, [](const auto* backup) { return backup->stop_lsn; });
}

void RecoveryRules::bound_run(Run& run) const {
  const auto& first = *run.backups.front();
  run.earliest = first.stop_time;
  run.latest = first.stop_time;
  for (const ArchivedSegment* segment : run.segments) {
    if (segment->index.last_commit_lsn >= first.stop_lsn && segment->index.max_commit_time) {
      run.latest = std::max(run.latest, *segment->index.max_commit_time);
    }
  }
  for (const ArchiveEnd& end : state_.ends) {
    const bool on_branch = postgres::timeline_at(history_, branch_, end.lsn) == end.timeline;
    if (on_branch && end.lsn >= stop_of(first) && end.lsn <= run.end(state_.segment_size)) {
      run.latest = std::max(run.latest, end.time);
    }
  }
}

std::vector<std::string> RecoveryRules::warnings() const {
  std::vector<std::string> warnings = state_.warnings;
  for (const auto& damaged : state_.damaged) {
    warnings.push_back(fmt::format("the record of backup '{}' cannot be read: {}", damaged.backup, damaged.problem));
  }
  for (const auto& backup : state_.backups) {
    if (backup.problem.empty()) continue;
    warnings.push_back(fmt::format("the backup '{}' cannot be restored: {}", backup.backup, backup.problem));
  }
  return warnings;
}

RecoveryWindow RecoveryRules::window() const {
  RecoveryWindow window;
  window.warnings = warnings();
  window.needs_base_backup = !newest_has_backup_;
  if (runs_.empty()) return window;
  window.earliest = runs_.front().earliest;
  window.latest = runs_.back().latest;
  for (std::size_t i = 1; i < runs_.size(); ++i) {
    window.gaps.push_back({.from = runs_[i - 1].latest,
                           .to = runs_[i].earliest,
                           .reason = fmt::format("WAL after {} is not in the archive; the next backup begins at {}",
                                                 postgres::format_lsn(runs_[i - 1].end(state_.segment_size)),
                                                 postgres::format_lsn({runs_[i].backups.front()->start_lsn}))});
  }
  for (const Run& run : runs_) add_tablespace_gaps(run, window);
  std::ranges::sort(window.gaps, {}, &WindowGap::from);
  trim(window);
  return window;
}

core::Timestamp RecoveryRules::last_stamp_before(const Run& run, postgres::Lsn lsn) const {
  core::Timestamp latest = run.earliest;
  for (const ArchivedSegment* segment : run.segments) {
    const auto& index = segment->index;
    if (!index.incomplete && (!index.max_commit_time || index.first_commit_lsn >= lsn.value)) continue;
    if (index.incomplete || index.last_commit_lsn >= lsn.value) {
      latest = std::max(latest, find_commit_(*segment, lsn, core::Timestamp::min()).earlier.value_or(latest));
    } else {
      latest = std::max(latest, *index.max_commit_time);
    }
    if (postgres::segment_start(segment->name.segment + 1, state_.segment_size) > lsn) break;
  }
  return latest;
}

void RecoveryRules::add_tablespace_gaps(const Run& run, RecoveryWindow& window) const {
  for (const ArchivedSegment* segment : run.segments) {
    for (const std::uint64_t lsn : segment->index.tablespaces) {
      if (lsn < run.backups.front()->start_lsn) continue;
      const auto next = std::ranges::find_if(run.backups, [&](const auto* backup) { return backup->start_lsn > lsn; });
      const bool ended = next != run.backups.end();
      // A time at which the last transaction before was committed is already beyond it.
      const WindowGap gap{
          .from = last_stamp_before(run, {lsn}) - core::Duration(1),
          .to = ended ? last_stamp_before(run, stop_of(**next)) : run.latest,
          .reason = fmt::format("a tablespace was created at {}, and replaying that would use the "
                                "source's own directory; a backup begun after it opens the window again",
                                postgres::format_lsn({lsn}))};
      if (!ended && &run == &runs_.back()) {
        window.needs_base_backup = true;
        window.latest = std::min(*window.latest, gap.from);
      }
      const bool told = std::ranges::any_of(
          window.gaps, [&](const WindowGap& known) { return known.from <= gap.from && gap.to <= known.to; });
      if (!told && gap.from + core::Duration(1) < gap.to) window.gaps.push_back(gap);
    }
  }
}

RecoveryPlan RecoveryRules::plan(const RecoveryTarget& target, core::Timestamp now) const {
  RecoveryPlan plan;
  if (const auto* backup = std::get_if<ToBackup>(&target)) {
    plan = to_backup(backup->id);
  } else if (const auto* time = std::get_if<ToTime>(&target)) {
    plan = to_time(time->time, now);
  } else {
    plan = to_latest();
  }
  check_tablespaces(plan);
  return plan;
}

std::optional<postgres::Lsn> RecoveryRules::tablespace_created(postgres::Lsn from, postgres::Lsn to,
                                                               postgres::TimelineId branch) const {
  const auto found = state_.histories.find(branch);
  const auto history = found == state_.histories.end() ? std::vector<postgres::TimelineSwitch>() : found->second;
  for (const auto& [timeline, segments] : state_.segments) {
    for (const ArchivedSegment& segment : segments) {
      for (const std::uint64_t lsn : segment.index.tablespaces) {
        if (lsn < from.value || lsn > to.value) continue;
        if (postgres::timeline_at(history, branch, {lsn}) == timeline) return postgres::Lsn{lsn};
      }
    }
  }
  return std::nullopt;
}

/// Replay of a tablespace's creation would use the path that it has at the source.
void RecoveryRules::check_tablespaces(const RecoveryPlan& plan) const {
  const auto created = tablespace_created({plan.base.start_lsn}, plan.stop.lsn, plan.timeline);
  if (!created) return;
  out_of_reach(
      fmt::format("a tablespace was created at {}, after the base backup '{}' had begun: replaying that "
                  "would use the source's own directory; a newer backup of the source has it",
                  postgres::format_lsn(*created), plan.base.backup));
}

RecoveryPlan RecoveryRules::with_base(const repository::BackupRecord& base) const {
  RecoveryPlan plan;
  plan.instance = state_.instance;
  plan.warnings = warnings();
  plan.base = base;
  plan.timeline = branch_;
  plan.file_bytes = base.data_size;
  if (base.pages_failed > 0) {
    plan.warnings.push_back(fmt::format("{} pages of the base backup '{}' failed their checksum when it was taken",
                                        base.pages_failed, base.backup));
  }
  if (!base.restore_problem.empty()) {
    plan.warnings.push_back(fmt::format("the base backup '{}' did not restore well when it was tried: {}", base.backup,
                                        base.restore_problem));
  }
  return plan;
}

void RecoveryRules::add_wal(RecoveryPlan& plan, postgres::SegmentNumber last) const {
  const postgres::SegmentNumber first = postgres::segment_of({plan.base.start_lsn}, state_.segment_size);
  plan.wal_from = postgres::segment_start(first, state_.segment_size);
  plan.wal_to = postgres::segment_start(last + 1, state_.segment_size);
  plan.wal_bytes = plan.wal_to - plan.wal_from;
}

RecoveryPlan RecoveryRules::to_backup(const std::string& id) const {
  const auto backup = std::ranges::find(state_.backups, id, &repository::BackupRecord::backup);
  if (const auto damaged = std::ranges::find(state_.damaged, id, &repository::DamagedBackup::backup);
      damaged != state_.damaged.end()) {
    out_of_reach(fmt::format("the record of backup '{}' cannot be read: {}", id, damaged->problem));
  }
  if (std::ranges::find(state_.logical, id) != state_.logical.end()) {
    out_of_reach(fmt::format("the backup '{}' is a dump: pg_restore takes it, not a server that replays WAL", id));
  }
  if (backup == state_.backups.end()) {
    out_of_reach(fmt::format("no backup '{}' of instance '{}' is stored", id, state_.instance));
  }
  if (!backup->problem.empty()) {
    out_of_reach(fmt::format("the backup '{}' cannot be restored: {}", id, backup->problem));
  }
  RecoveryPlan plan = with_base(*backup);
  plan.timeline = {backup->timeline};
  plan.stop.immediate = true;
  plan.stop.lsn = stop_of(*backup);
  plan.time = backup->stop_time;
  add_wal(plan, postgres::segment_of({backup->stop_lsn - 1}, state_.segment_size));
  return plan;
}

const RecoveryRules::Run& RecoveryRules::run_of(core::Timestamp time, core::Timestamp now) const {
  const std::string wanted = core::format_time(time);
  if (runs_.empty()) {
    out_of_reach(fmt::format("no backup of instance '{}' is stored yet, so no time can be reached", state_.instance));
  }
  if (time > now) {
    out_of_reach(fmt::format("the time {} is in the future; the latest time within reach is {}", wanted,
                             core::format_time(runs_.back().latest)));
  }
  const auto after = std::ranges::find_if(runs_, [&](const Run& run) { return run.earliest > time; });
  if (after == runs_.begin()) {
    out_of_reach(fmt::format("the time {} is before the recovery window, which begins at {}", wanted,
                             core::format_time(runs_.front().earliest)));
  }
  const Run& run = *std::prev(after);
  if (time <= run.latest) return run;
  if (after != runs_.end()) {
    out_of_reach(fmt::format("the time {} lies in a gap of the archive; the nearest times within reach are {} and {}",
                             wanted, core::format_time(run.latest), core::format_time(after->earliest)));
  }
  out_of_reach(fmt::format("the time {} is after the end of the archive; the latest time within reach is {}", wanted,
                           core::format_time(run.latest)));
}

RecoveryPlan RecoveryRules::to_time(core::Timestamp time, core::Timestamp now) const {
  const Run& run = run_of(time, now);
  const postgres::Lsn from = stop_of(*run.backups.front());
  // What cannot be read is of no consequence if a later commit is stamped before the time.
  const ArchivedSegment* unclear = nullptr;
  for (const ArchivedSegment* segment : run.segments) {
    const auto& index = segment->index;
    if (postgres::segment_start(segment->name.segment + 1, state_.segment_size) <= from) continue;
    if (!index.incomplete) {
      if (index.last_commit_lsn < from.value || !index.max_commit_time) continue;
      if (*index.max_commit_time <= time) unclear = nullptr;
      if (*index.max_commit_time <= time) continue;
    }
    const SegmentAnswer answer = find_commit_(*segment, from, time);
    if (answer.before) unclear = nullptr;
    if (answer.unclear) unclear = segment;
    if (!answer.commit) continue;
    if (unclear != nullptr) break;
    RecoveryPlan plan = before_commit(run, *segment, *answer.commit, answer.before);
    plan.time = time;
    return plan;
  }
  if (unclear != nullptr) {
    out_of_reach(
        fmt::format("a part of WAL segment {} cannot be read, and what was committed there may be of before or "
                    "after {}: choose a time further from it",
                    postgres::segment_name(unclear->name.timeline, unclear->name.segment, state_.segment_size),
                    core::format_time(time)));
  }
  RecoveryPlan plan = to_end(run);
  plan.time = time;
  return plan;
}

RecoveryPlan RecoveryRules::before_commit(const Run& run, const ArchivedSegment& segment, const CommitRecord& commit,
                                          std::optional<core::Timestamp> before) const {
  const auto newer = std::ranges::find_if(run.backups, [&](const auto* b) { return stop_of(*b) > commit.start; });
  RecoveryPlan plan = with_base(best_of({run.backups.begin(), newer}, commit.start));
  plan.stop = {.immediate = false, .lsn = commit.start, .inclusive = false};
  plan.last_commit = before ? before : last_commit_before(run, segment.name.segment, stop_of(plan.base));
  add_wal(plan, segment.name.segment);
  return plan;
}

RecoveryPlan RecoveryRules::to_end(const Run& run) const {
  const auto [last, end] = last_record(run);
  RecoveryPlan plan = with_base(best_of(run.backups, end));
  if (end < stop_of(plan.base)) {
    // Nothing follows the newest backup: its own end is the end.
    plan.stop = {.immediate = true, .lsn = stop_of(plan.base), .inclusive = false};
    add_wal(plan, postgres::segment_of({plan.base.stop_lsn - 1}, state_.segment_size));
    return plan;
  }
  plan.stop = {.immediate = false, .lsn = end, .inclusive = true};
  plan.last_commit = last_commit_before(run, last->name.segment + 1, stop_of(plan.base));
  add_wal(plan, last->name.segment);
  return plan;
}

std::pair<const ArchivedSegment*, postgres::Lsn> RecoveryRules::last_record(const Run& run) const {
  for (auto it = run.segments.rbegin(); it != run.segments.rend(); ++it) {
    const ArchivedSegment& segment = **it;
    postgres::Lsn last{segment.index.last_record_lsn};
    if (segment.index.incomplete) {
      last = std::max(last, find_commit_(segment, {}, core::Timestamp::max()).last_record.value_or(postgres::Lsn{}));
    }
    if (last != postgres::Lsn{}) return {&segment, last};
  }
  return {};
}

RecoveryPlan RecoveryRules::to_latest() const {
  if (runs_.empty()) {
    out_of_reach(fmt::format("no backup of instance '{}' is stored yet, so nothing can be recovered", state_.instance));
  }
  RecoveryPlan plan = to_end(runs_.back());
  if (!newest_has_backup_) {
    plan.warnings.push_back(fmt::format("the archive has a gap after {}; what was written later has no backup yet",
                                        core::format_time(runs_.back().latest)));
  }
  return plan;
}

std::optional<core::Timestamp> RecoveryRules::last_commit_before(const Run& run, postgres::SegmentNumber segment,
                                                                 postgres::Lsn from) const {
  for (auto it = run.segments.rbegin(); it != run.segments.rend(); ++it) {
    const auto& index = (*it)->index;
    if ((*it)->name.segment >= segment || !index.last_commit_time) continue;
    if (index.last_commit_lsn < from.value) return std::nullopt;
    return index.last_commit_time;
  }
  return std::nullopt;
}

}  // namespace backstay::backup
