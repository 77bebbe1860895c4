#include "providers/archive_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backup/branch_check.h"
#include "backup/slot_watch.h"
#include "core/error.h"
#include "core/log.h"
#include "postgres/replication_connection.h"
#include "providers/hole_watch.h"
#include "repository/chain_survey.h"
#include "repository/record_update.h"
#include "repository/wal_store.h"

namespace backstay::providers {
namespace {

/// Looks at a store take at most a part of the time.
constexpr int kShareOfTime = 20;
constexpr std::size_t kMostNamed = 3;

/// The problem that the record of a backup tells of.
std::string problem_of(const std::vector<repository::MissingObject>& missing, const std::string& backup) {
  std::vector<std::string> keys;
  for (const auto& object : missing) {
    if (object.backup == backup) keys.push_back(object.key);
  }
  const std::size_t more = keys.size() - std::min(keys.size(), kMostNamed);
  keys.resize(keys.size() - more);
  return fmt::format("{}{}{}", repository::kMissingObject, fmt::join(keys, ", "),
                     more == 0 ? "" : fmt::format(" and {} more", more));
}

std::string hole_text(const repository::WalHole& hole, std::uint64_t segment_size) {
  const auto from = postgres::segment_start(hole.first, segment_size);
  const auto to = postgres::segment_start(hole.last + 1, segment_size);
  return fmt::format("the WAL from {} to {}", postgres::format_lsn(from), postgres::format_lsn(to));
}

}  // namespace

/// The looks at one instance.
struct ArchiveWatch::Looker {
  const control::ServiceBody& body;
  const ReceiverView& receiver;
  std::shared_ptr<repository::PackListing> packs;
  backup::SlotWatch slot;
  std::shared_ptr<repository::Repository> repository = {};
  std::unique_ptr<repository::ChainSurveyor> surveyor = {};
  repository::ChainSurvey seen = {};
  HoleWatch holes = {};
  backup::ArchivedBranch branch = {};
  core::SteadyTime next_survey = {};

  /// It never changes once it is there.
  std::map<postgres::TimelineId, std::string> histories = {};

  [[nodiscard]] const std::string& id() const { return body.instance.id; }
  std::optional<std::string> stored_history(postgres::TimelineId timeline) {
    if (const auto known = histories.find(timeline); known != histories.end()) return known->second;
    const auto stored = repository::WalStore(*repository, id(), seen.segment_size).get_history(timeline.value);
    if (!stored) return std::nullopt;
    return histories[timeline] = std::string(core::as_text(*stored));
  }
};

/// Nobody looks any more, for whatever reason.
class ArchiveWatch::ReportEnd {
 public:
  ReportEnd(ArchiveWatch& watch, std::string instance_id) : watch_(watch), instance_id_(std::move(instance_id)) {}
  ReportEnd(const ReportEnd&) = delete;
  ReportEnd& operator=(const ReportEnd&) = delete;
  ~ReportEnd() {
    const core::LockGuard lock(watch_.mutex_);
    watch_.reports_.erase(instance_id_);
  }

 private:
  ArchiveWatch& watch_;
  const std::string instance_id_;
};

ArchiveWatch::ArchiveWatch(PostgresqlWorld& world, Repositories& repositories)
    : world_(world), repositories_(repositories) {}

std::shared_ptr<repository::PackListing> ArchiveWatch::listing_of(const control::BackupTarget& target) {
  const core::LockGuard lock(mutex_);
  std::erase_if(listings_, [](const auto& entry) { return entry.second.expired(); });
  auto& known = listings_[fingerprint(target)];
  auto listing = known.lock();
  if (!listing) {
    listing = std::make_shared<repository::PackListing>(world_.deps.clock, world_.config.look_every / 2);
    known = listing;
  }
  return listing;
}

void ArchiveWatch::watch(const control::ServiceBody& body, const ReceiverView& receiver, std::stop_token stop) {
  if (!body.backups) return;
  const auto every = world_.config.look_every;
  Looker looker{body, receiver, listing_of(*body.backups), backup::SlotWatch(every + every / 2)};
  // Between two looks at the store is one more at the server, so that what stands still is noticed in time.
  const auto guarded = [&](const char* what, const auto& look) {
    try {
      look();
    } catch (const core::Error& error) {
      core::log_debug("archive.not_seen", error.what(), {{"instance", looker.id()}, {"what", what}});
    }
  };
  const ReportEnd end(*this, looker.id());
  do {
    guarded("store", [&] { look_at_store(looker, stop); });
    guarded("server", [&] { look_at_server(looker, stop); });
    const std::string gap = receiver.gap();
    set(looker.id(), model::ChainFault::kGap, gap.empty() ? Reason() : Reason(gap), true);
  } while (world_.deps.clock.wait(stop, every / 2));
}

void ArchiveWatch::look_at_store(Looker& looker, std::stop_token stop) {
  auto& clock = world_.deps.clock;
  const auto begun = clock.steady_now();
  if (begun < looker.next_survey) return;
  looker.next_survey = begun + world_.config.look_every / 4 * 3;
  if (!looker.repository) {
    looker.repository = repositories_.open_own(*looker.body.backups, stop);
    looker.surveyor = std::make_unique<repository::ChainSurveyor>(*looker.repository, *looker.packs, looker.id());
  }
  // A disk that is not mounted has lost nothing.
  looker.repository->check_present();
  looker.seen = looker.surveyor->survey(stop);
  looker.next_survey = std::max(looker.next_survey, clock.steady_now() + kShareOfTime * (clock.steady_now() - begun));
  looker.branch = {.timeline = {looker.seen.timeline}, .end = {looker.seen.end_lsn}};
  const bool is_sure = judge_objects(looker, stop);
  judge_clock(looker);
  if (!is_sure) return;
  const core::LockGuard lock(mutex_);
  reports_[looker.id()].checked_at = clock.now();
}

bool ArchiveWatch::judge_objects(Looker& looker, std::stop_token stop) {
  const auto& seen = looker.seen;
  const auto write_problem = [&](const std::string& backup, const std::string& problem) {
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "stopped");
    const auto* judged = looker.surveyor->find(backup);
    if (judged == nullptr) return;
    const auto tell = [&](repository::BackupRecord& record) {
      if (record.problem == problem) return false;
      // What a reading of it found stays.
      if (!record.problem.empty() && !record.problem.starts_with(repository::kMissingObject)) return false;
      record.problem = problem;
      return true;
    };
    if (update_backup(*looker.repository, *judged, tell)) looker.surveyor->forget(backup);
  };
  std::vector<std::string> reasons;
  std::set<std::string> told;
  for (const auto& object : seen.missing) {
    if (!told.insert(object.backup).second) continue;
    const std::string problem = problem_of(seen.missing, object.backup);
    if (object.backup.empty()) {
      reasons.push_back(problem);
      continue;
    }
    reasons.push_back(fmt::format("backup '{}' cannot be restored, {}", object.backup, problem));
    write_problem(object.backup, problem);
  }
  for (const std::string& backup : seen.whole_again) write_problem(backup, "");

  bool needs_backup = false;
  const auto want = [&](const std::string& reason, postgres::Lsn at) {
    needs_backup = true;
    looker.receiver.want_backup(reason, at);
  };
  if (seen.newest_start && seen.newest_start != seen.newest_base_start) {
    want("the newest backup cannot be restored: objects that it needs are missing from the store",
         {*seen.newest_start + 1});
  }
  const auto holes = looker.holes.judge(seen);
  for (const auto& hole : holes.lost) {
    const std::string reason = hole_text(hole, seen.segment_size) + " is missing from the store";
    reasons.push_back(reason);
    if (is_behind_newest(hole, seen)) want(reason, postgres::segment_start(hole.last + 1, seen.segment_size));
  }
  set(looker.id(), model::ChainFault::kObjectMissing,
      reasons.empty() ? Reason() : Reason(fmt::format("{}", fmt::join(reasons, "; "))), needs_backup);
  return holes.is_sure;
}

void ArchiveWatch::judge_clock(Looker& looker) {
  auto offset = looker.repository->store().clock_offset();
  // What has no date of its own may still stamp objects: never with a time to come.
  if (looker.seen.newest_object && !offset) {
    const auto ahead = *looker.seen.newest_object - world_.deps.clock.now();
    offset = std::max(core::Duration{}, std::chrono::duration_cast<core::Duration>(ahead));
  }
  {
    const core::LockGuard lock(mutex_);
    reports_[looker.id()].store_clock_offset = offset;
  }
  Reason reason;
  if (offset && (*offset > kClockTolerance || *offset < -kClockTolerance)) {
    reason = fmt::format("the store's clock is {} s {} this machine's: set the one that is wrong, e.g. with NTP",
                         std::abs(std::chrono::duration_cast<std::chrono::seconds>(*offset).count()),
                         *offset > core::Duration{} ? "ahead of" : "behind");
  }
  set(looker.id(), model::ChainFault::kClockDrift, reason);
}

void ArchiveWatch::look_at_server(Looker& looker, std::stop_token stop) {
  PostgresqlInstance instance(world_, looker.body);
  auto connection = instance.server().connect("postgres", stop);
  const auto rows = connection.query(
      "SELECT pg_catalog.pg_current_wal_flush_lsn(), "
      "pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8) "
      "WHERE NOT pg_catalog.pg_is_in_recovery()");
  if (rows.empty()) return;
  // What a server answers is its owner's: he may have put a program of his own in its place.
  const auto timeline = postgres::parse_history_name(rows.text(0, 1) + ".history");
  if (!timeline) throw core::Error(core::Code::kDatabaseError, "the server tells no timeline");
  backup::ServerBranch server{.timeline = *timeline, .flushed = postgres::parse_lsn(rows.text(0, 0))};
  const auto slot = postgres::read_slot(connection, instance.slot());
  set(looker.id(), model::ChainFault::kSlotStalled,
      looker.slot.see(slot, server.flushed, world_.deps.clock.steady_now()));
  if (!looker.repository || looker.branch.timeline.value == 0) return;
  if (server.timeline.value > 1) {
    server.history =
        connection.query("SELECT pg_catalog.pg_read_file($1)", {"pg_wal/" + postgres::history_name(server.timeline)})
            .text(0, 0);
    looker.branch.server_history = looker.stored_history(server.timeline);
  }
  set(looker.id(), model::ChainFault::kTimelineDiverged, backup::divergence(looker.branch, server));
}

void ArchiveWatch::set(const std::string& instance_id, model::ChainFault fault, const Reason& reason,
                       bool needs_backup) {
  const core::LockGuard lock(mutex_);
  auto& problems = reports_[instance_id].problems;
  const auto known = std::ranges::find(problems, fault, &model::ChainProblem::fault);
  if (!reason) {
    if (known != problems.end()) problems.erase(known);
    return;
  }
  const model::ChainProblem problem{fault, *reason, known == problems.end() ? world_.deps.clock.now() : known->since,
                                    needs_backup};
  if (known != problems.end()) {
    *known = problem;
    return;
  }
  problems.insert(std::ranges::upper_bound(problems, fault, {}, &model::ChainProblem::fault), problem);
}

std::optional<model::ChainReport> ArchiveWatch::report(const std::string& instance_id) const {
  const core::LockGuard lock(mutex_);
  const auto found = reports_.find(instance_id);
  return found == reports_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace backstay::providers
