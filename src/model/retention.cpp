#include "model/retention.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace backstay::model {
namespace {

/// Clocks that are further apart than this do not speak of the same time.
constexpr core::Duration kClockTolerance = std::chrono::hours(1);

bool is_open(BackupState state) { return state == BackupState::kScheduled || state == BackupState::kRunning; }
bool is_good(const RetainedBackup& backup) {
  return backup.confirmed && backup.stored && backup.state != BackupState::kDeleting &&
         backup.state != BackupState::kDeleted;
}
bool is_good_physical(const RetainedBackup& backup) {
  return is_good(backup) && backup.mechanism == BackupMechanism::kPhysical;
}
bool is_being_deleted(BackupState state) { return state == BackupState::kDeleting || state == BackupState::kDeleted; }

/// The stored backups of one instance, in the order in which they were taken.
struct Line {
  const RetainedInstance* instance = nullptr;
  std::vector<const RetainedBackup*> backups{};
  /// The window begins with it: the newest confirmed one that is older than the cut, else the oldest confirmed.
  const RetainedBackup* base = nullptr;
  /// Nothing within the window needs this instance any more.
  bool over = false;
  bool being_taken = false;
};

class Retention {
 public:
  explicit Retention(const RetentionQuestion& question)
      : question_(question),
        now_(*std::ranges::min_element(question.now)),
        cut_(now_ - std::chrono::days(question.retention_days)) {
    make_lines();
    for (Line& line : lines_) date(line);
    find_left();
    count_floor();
    count_schedules();
    find_newest();
    find_hold();
    for (Line& line : lines_) judge_line(line);
  }

  RetentionDecision decide() {
    RetentionDecision decision;
    for (const RetainedBackup& backup : question_.backups) {
      BackupVerdict verdict = judge(backup);
      if (!verdict.goes) stays_.insert(&backup);
      decision.backups.push_back(std::move(verdict));
    }
    for (const Line& line : lines_) {
      if (auto wal = judge_wal(line)) decision.wal.push_back(std::move(*wal));
    }
    decision.finished = !hold_ && (expired_ || (left_ && question_.enabled)) &&
                        std::ranges::all_of(lines_, [](const Line& line) { return line.instance->held_by.empty(); });
    return decision;
  }

  [[nodiscard]] std::optional<std::string> deletion_obstacle(const RetainedBackup& backup) const {
    if (backup.pinned) return "it is pinned";
    if (is_open(backup.state)) return "it is being taken";
    const Line* const line = line_of(backup);
    if (line == nullptr || !backup.stored) return std::nullopt;
    if (!line->instance->held_by.empty()) return line->instance->held_by;
    if (question_.deleted || left_ || !counts_as_good(backup)) return std::nullopt;
    if (!question_.covered_elsewhere && std::ranges::count_if(question_.backups, counts_as_good) == 1) {
      return "it is the last good backup";
    }
    if (&backup == line->base && line->instance->continuous && !line->over) return begins_window();
    return std::nullopt;
  }

 private:
  static bool counts_as_good(const RetainedBackup& backup) { return is_good(backup); }

  /// An instance that has it is provided for. A logical one does that only for a service that has no other kind.
  [[nodiscard]] bool provides(const RetainedBackup& backup) const {
    return counts_as_good(backup) && (backup.mechanism == BackupMechanism::kPhysical || !any_physical_);
  }

  void make_lines() {
    any_physical_ = std::ranges::any_of(question_.backups, is_good_physical);
    for (const RetainedInstance& instance : question_.instances) {
      Line line{.instance = &instance};
      for (const RetainedBackup& backup : question_.backups) {
        if (backup.instance_id != instance.id) continue;
        line.being_taken = line.being_taken || is_open(backup.state);
        if (backup.stored) line.backups.push_back(&backup);
      }
      // Logical ones have no LSN: among them the clock is all there is.
      std::ranges::sort(line.backups, {}, [this](const RetainedBackup* backup) {
        return std::tuple(backup->timeline, backup->stop_lsn, believable(*backup).value_or(now_),
                          std::string_view(backup->id));
      });
      lines_.push_back(std::move(line));
    }
  }

  /// The latest time that any believable clock gives; what lies in the future was not stamped by one.
  [[nodiscard]] std::optional<core::Timestamp> believable(const RetainedBackup& backup) const {
    std::optional<core::Timestamp> latest;
    for (const core::Timestamp stamp : backup.stamps) {
      if (stamp <= now_ + kClockTolerance && (!latest || stamp > *latest)) latest = stamp;
    }
    return latest;
  }

  /// A logical backup is at no place of the line: it tells nothing of the others' times.
  static bool in_order(const RetainedBackup& backup) { return backup.stop_lsn != 0; }

  /// No backup is older than the one before it, and one that no clock can be believed on is as old as the next.
  void date(const Line& line) {
    std::optional<core::Timestamp> next;
    for (auto it = line.backups.rbegin(); it != line.backups.rend(); ++it) {
      const auto own = believable(**it);
      times_[*it] = own.value_or(in_order(**it) ? next.value_or(now_) : now_);
      if (own && in_order(**it)) next = own;
    }
    std::optional<core::Timestamp> before;
    for (const RetainedBackup* backup : line.backups) {
      if (!in_order(*backup)) continue;
      core::Timestamp& time = times_[backup];
      if (before) time = std::max(time, *before);
      before = time;
    }
  }

  /// The present place reaches the cut, and everything here is older, what an instance last did while it served too.
  void find_left() {
    left_ = question_.covered_since && *question_.covered_since <= cut_ &&
            std::ranges::all_of(times_, [this](const auto& dated) { return dated.second <= cut_; }) &&
            std::ranges::none_of(question_.instances, [this](const RetainedInstance& instance) {
              return instance.served_until && *instance.served_until > cut_;
            });
  }

  void count_floor() {
    std::size_t left = left_ ? 0 : question_.keep_at_least;
    for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
      for (auto it = line->backups.rbegin(); it != line->backups.rend() && left > 0; ++it) {
        if (!(*it)->counts || !counts_as_good(**it)) continue;
        floor_.insert(*it);
        --left;
      }
    }
  }

  /// Where most of the clocks that can be believed agree. One that is hours ahead would put what an instance made
  /// before a switch-over behind what its successor made; an age is told by the latest of them all the same.
  [[nodiscard]] core::Timestamp agreed(const RetainedBackup& backup) const {
    std::vector<core::Timestamp> stamps;
    std::ranges::copy_if(backup.stamps, std::back_inserter(stamps),
                         [this](core::Timestamp stamp) { return stamp <= now_ + kClockTolerance; });
    if (stamps.empty()) return times_.at(&backup);
    std::ranges::sort(stamps);
    return stamps[stamps.size() / 2];
  }

  /// The confirmed ones of each schedule, in the order in which they were taken.
  void count_schedules() {
    using Place = std::pair<core::Timestamp, std::size_t>;
    std::map<std::string_view, std::vector<Place>> taken;
    std::vector<std::pair<const RetainedBackup*, Place>> all;
    for (const Line& line : lines_) {
      core::Timestamp before = core::Timestamp::min();
      for (const RetainedBackup* backup : line.backups) {
        if (backup->keep.count == 0) continue;
        core::Timestamp time = agreed(*backup);
        if (in_order(*backup)) before = time = std::max(time, before);
        const Place place(time, all.size());
        if (counts_as_good(*backup)) taken[backup->schedule_id].push_back(place);
        all.emplace_back(backup, place);
      }
    }
    for (auto& [schedule, places] : taken) std::ranges::sort(places);
    for (const auto& [backup, place] : all) {
      const auto& places = taken[backup->schedule_id];
      const auto newer = places.end() - std::ranges::upper_bound(places, place);
      newer_[backup] = static_cast<std::size_t>(newer) + backup->newer_elsewhere;
    }
  }

  void find_newest() {
    for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
      for (auto it = line->backups.rbegin(); it != line->backups.rend(); ++it) {
        if (newest_ != nullptr) succeeded_.insert(*it);
        if (newest_ == nullptr && provides(**it)) newest_ = *it;
      }
    }
  }

  /// What keeps everything as it is.
  void find_hold() {
    const core::Timestamp latest = *std::ranges::max_element(question_.now);
    if (latest - now_ > kClockTolerance) {
      hold_ =
          fmt::format("the clocks of this machine and of the store are {} apart", core::format_duration(latest - now_));
    } else if (question_.deleted) {
      expired_ = question_.expires_at && *question_.expires_at <= now_;
      if (!expired_) {
        hold_ = question_.expires_at ? fmt::format("the service is deleted; its backups stay until {}",
                                                   core::format_time(*question_.expires_at))
                                     : "the service is deleted and its backups do not expire";
      }
    } else if (!left_ && !lines_.empty() && newest_ != nullptr && newest_->instance_id != lines_.back().instance->id) {
      hold_ = "the instance that serves has no confirmed backup yet";
    }
  }

  void judge_line(Line& line) {
    const bool serves = &line == &lines_.back() && !question_.deleted;
    for (const RetainedBackup* backup : line.backups) {
      if (!counts_as_good(*backup) || backup->mechanism != BackupMechanism::kPhysical) continue;
      if (line.base == nullptr || times_.at(backup) <= cut_) line.base = backup;
    }
    // Those that the floor keeps are worth more with the WAL between them.
    for (const RetainedBackup* backup : line.backups) {
      if (backup == line.base) break;
      if (floor_.contains(backup) && backup->mechanism == BackupMechanism::kPhysical) {
        line.base = backup;
        break;
      }
    }
    if (!hold_) line.over = left_ || (!serves && (expired_ || successor_reaches_cut(line)));
  }

  /// An instance that was replaced before the cut, by one whose own window begins before the cut.
  [[nodiscard]] bool successor_reaches_cut(const Line& line) const {
    core::Timestamp end = line.instance->served_until.value_or(core::Timestamp::min());
    for (const RetainedBackup* backup : line.backups) end = std::max(end, times_.at(backup));
    if (end > cut_) return false;
    for (const Line* later = &line + 1; later <= &lines_.back(); ++later) {
      for (const RetainedBackup* backup : later->backups) {
        if (provides(*backup) && times_.at(backup) <= cut_) return true;
      }
    }
    return false;
  }

  [[nodiscard]] const Line* line_of(const RetainedBackup& backup) const {
    const auto line = std::ranges::find_if(lines_, [&](const Line& l) { return l.instance->id == backup.instance_id; });
    return line == lines_.end() ? nullptr : &*line;
  }

  [[nodiscard]] BackupVerdict judge(const RetainedBackup& backup) const {
    const auto verdict = [&](bool goes, std::string reason) {
      return BackupVerdict{
          .backup_id = backup.id, .instance_id = backup.instance_id, .goes = goes, .reason = std::move(reason)};
    };
    if (is_being_deleted(backup.state)) return verdict(true, "its deletion was asked for");
    if (backup.pinned) return verdict(false, "it is pinned");
    if (is_open(backup.state)) return verdict(false, "it is being taken");
    if (backup.expires_at && *backup.expires_at > now_) {
      return verdict(false, fmt::format("it was asked to be kept until {}", core::format_time(*backup.expires_at)));
    }
    if (!backup.stored) {
      const bool old = believable(backup).value_or(now_) <= now_ - question_.failed_grace;
      return verdict(old, old ? "it failed, and nothing of it is stored" : "it failed a short time ago");
    }
    const Line* const line = line_of(backup);
    if (line == nullptr) return verdict(false, "its instance is not known");
    if (!line->instance->held_by.empty()) return verdict(false, line->instance->held_by);
    if (hold_) return verdict(false, *hold_);
    if (expired_) return verdict(true, "the service was deleted and its record has expired");
    const bool may_be_last = left_ || (question_.covered_elsewhere && backup.expires_at);
    if (!may_be_last && &backup == newest_) return verdict(false, "it is the newest confirmed backup");
    if (!may_be_last && !succeeded_.contains(&backup)) return verdict(false, "no newer one is confirmed");
    if (&backup == line->base && line->instance->continuous && !line->over) {
      return verdict(false, begins_window());
    }
    if (backup.expires_at) return verdict(true, "its own expiry has passed");
    return backup.keep.empty() ? judge_age(backup, verdict) : judge_schedule(backup, verdict);
  }

  [[nodiscard]] std::string begins_window() const {
    return fmt::format("the recovery window of {} days begins with it", question_.retention_days);
  }

  template <typename Verdict>
  BackupVerdict judge_age(const RetainedBackup& backup, const Verdict& verdict) const {
    if (!question_.enabled) return verdict(false, "backups are switched off, so nothing newer comes");
    if (floor_.contains(&backup)) {
      return verdict(false, fmt::format("it is one of the {} newest", question_.keep_at_least));
    }
    if (times_.at(&backup) > cut_) {
      return verdict(false, fmt::format("it is not older than {} days", question_.retention_days));
    }
    return verdict(true, fmt::format("it is older than {} days, and newer ones are confirmed{}",
                                     question_.retention_days, left_ ? " where the service's backups go now" : ""));
  }

  template <typename Verdict>
  BackupVerdict judge_schedule(const RetainedBackup& backup, const Verdict& verdict) const {
    const auto [count, days] = backup.keep;
    if (!question_.enabled) return verdict(false, "backups are switched off, so nothing newer comes");
    if (count > 0 && newer_.at(&backup) >= static_cast<std::size_t>(count)) {
      return verdict(true, fmt::format("its schedule keeps the newest {}", count));
    }
    if (days > 0 && times_.at(&backup) <= now_ - std::chrono::days(days)) {
      return verdict(true, fmt::format("it is older than the {} days that its schedule keeps", days));
    }
    return verdict(false, "its schedule keeps it");
  }

  /// A backup that stays for its own sake needs no more WAL than its own.
  static bool needs_its_own_wal_only(const RetainedBackup& backup) {
    return backup.pinned || backup.expires_at || !backup.keep.empty();
  }

  [[nodiscard]] std::optional<WalVerdict> judge_wal(const Line& line) const {
    if (!line.instance->held_by.empty() || hold_ || line.being_taken) return std::nullopt;
    WalVerdict verdict{.instance_id = line.instance->id};
    if (!line.instance->continuous) {
      verdict.reason = "every backup here stands alone, and has its own";
      return verdict;
    }
    if (!question_.enabled && !expired_) return std::nullopt;
    const bool floor = std::ranges::any_of(line.backups, [&](const auto* b) { return floor_.contains(b); });
    if (line.over && (expired_ || !floor)) {
      verdict.reason = expired_ ? "the service was deleted and its record has expired"
                       : left_  ? "the recovery window begins where the service's backups go now"
                                : "a later instance serves, and the recovery window begins with it";
      return verdict;
    }
    if (line.base == nullptr) return std::nullopt;
    std::map<std::uint32_t, std::uint64_t> starts{{line.base->timeline, line.base->start_lsn}};
    for (const RetainedBackup* backup : line.backups) {
      if (!stays_.contains(backup) || needs_its_own_wal_only(*backup) ||
          backup->mechanism != BackupMechanism::kPhysical)
        continue;
      const auto [at, added] = starts.try_emplace(backup->timeline, backup->start_lsn);
      at->second = std::min(at->second, backup->start_lsn);
    }
    for (const auto& [timeline, lsn] : starts) {
      if (timeline < line.base->timeline) verdict.earlier.push_back({timeline, lsn});
    }
    verdict.from = WalStart{line.base->timeline, starts.at(line.base->timeline)};
    verdict.reason = fmt::format("no time within reach needs it: the window begins with backup '{}'", line.base->id);
    return verdict;
  }

  const RetentionQuestion& question_;
  const core::Timestamp now_;
  const core::Timestamp cut_;
  std::vector<Line> lines_;
  bool any_physical_ = false;
  std::map<const RetainedBackup*, core::Timestamp> times_;
  std::set<const RetainedBackup*> floor_;
  /// How many confirmed ones its schedule has made since, for those of which it keeps a number.
  std::map<const RetainedBackup*, std::size_t> newer_;
  const RetainedBackup* newest_ = nullptr;
  /// Those that a confirmed one follows.
  std::set<const RetainedBackup*> succeeded_;
  std::optional<std::string> hold_;
  bool expired_ = false;
  /// Nothing goes to this place any more, and no time within the retention needs it.
  bool left_ = false;
  std::set<const RetainedBackup*> stays_;
};

}  // namespace

std::size_t keep_at_least(std::int64_t retention_days, std::int64_t interval_h) {
  return static_cast<std::size_t>((retention_days * 24 + interval_h - 1) / interval_h);
}

std::optional<core::Timestamp> covered_since(const RetentionQuestion& present, const RetentionQuestion& left) {
  if (std::ranges::any_of(left.backups, is_open, &RetainedBackup::state)) return std::nullopt;
  const bool any_physical =
      std::ranges::any_of(present.backups, is_good_physical) || std::ranges::any_of(left.backups, is_good_physical);
  core::Timestamp newest_left = core::Timestamp::min();
  for (const RetainedBackup& backup : left.backups) {
    if (backup.stored) newest_left = std::max(newest_left, *std::ranges::max_element(backup.stamps));
  }
  std::optional<core::Timestamp> since;
  for (const RetainedBackup& backup : present.backups) {
    // What was sent there before the service moved has no times after it there.
    if (backup.stands_alone) continue;
    if (any_physical ? !is_good_physical(backup) : !is_good(backup)) continue;
    const auto [first, last] = std::ranges::minmax_element(backup.stamps);
    if (*first > newest_left && (!since || *last < *since)) since = *last;
  }
  return since;
}

RetentionDecision decide_retention(const RetentionQuestion& question) { return Retention(question).decide(); }

std::optional<std::string> deletion_obstacle(const RetentionQuestion& question, const std::string& backup_id) {
  const auto backup = std::ranges::find(question.backups, backup_id, &RetainedBackup::id);
  if (backup == question.backups.end()) return std::nullopt;
  return Retention(question).deletion_obstacle(*backup);
}

}  // namespace backstay::model
