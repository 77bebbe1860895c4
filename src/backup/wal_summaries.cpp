#include "backup/wal_summaries.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/time.h"
#include "os/file_system.h"

namespace backstay::backup {
namespace {

using postgres::format_lsn;
using postgres::Lsn;

constexpr int kVersionWithSummaries = 170'000;
/// A summary ends at each checkpoint, so that the last one is there a moment after the backup's own.
constexpr core::Duration kPatience = std::chrono::seconds(2);
constexpr core::Duration kPoll = std::chrono::milliseconds(20);
/// For all of them: the backup waits.
constexpr core::Duration kTime = std::chrono::seconds(10);
constexpr int kRowsAtOnce = 10'000;

/// Of records that begin in [from, to).
struct Summary {
  Lsn from = {};
  Lsn to = {};
};

class Comparison {
 public:
  Comparison(const Environment& environment, const SummaryQuestion& question, PageChanges& changes,
             const std::stop_token& stop)
      : environment_(environment),
        question_(question),
        changes_(changes),
        stop_(stop),
        end_(environment.clock.steady_now() + kTime),
        connection_(question.connection, stop) {}

  void run(SummaryAnswer& answer);

 private:
  void wait_for_last();
  std::vector<Summary> list();
  std::string obstacle(const Summary& summary) const;
  std::string compare(const Summary& summary);
  std::string compare(const postgres::Rows& rows, std::size_t row, const Summary& summary);

  const Environment& environment_;
  const SummaryQuestion& question_;
  PageChanges& changes_;
  const std::stop_token& stop_;
  const core::SteadyTime end_;
  postgres::Connection connection_;
};

void Comparison::run(SummaryAnswer& answer) {
  if (connection_.server_version() < kVersionWithSummaries) {
    answer.not_compared = "this version of PostgreSQL keeps no summaries of its WAL";
    return;
  }
  wait_for_last();
  const auto leave_out = [&](std::string reason) {
    if (answer.not_compared.empty()) answer.not_compared = std::move(reason);
  };
  Lsn next = question_.from.lsn;
  const auto leave_out_until = [&](Lsn lsn) {
    if (next >= lsn) return;
    leave_out(fmt::format("the server has no summaries of the WAL from {} to {}", format_lsn(next), format_lsn(lsn)));
  };
  for (const Summary& summary : list()) {
    if (summary.from < next) continue;
    leave_out_until(summary.from);
    next = summary.to;
    if (auto reason = obstacle(summary); !reason.empty()) {
      leave_out(std::move(reason));
      continue;
    }
    answer.missing = compare(summary);
    if (!answer.missing.empty()) return;
    answer.compared += summary.to - summary.from;
  }
  leave_out_until(question_.to.lsn);
}

/// No longer than there is somebody at work on it.
void Comparison::wait_for_last() {
  const core::SteadyTime end = environment_.clock.steady_now() + kPatience;
  while (environment_.clock.steady_now() < end) {
    const auto rows = connection_.query(
        "SELECT summarizer_pid IS NULL OR summarized_lsn >= $1::pg_lsn FROM pg_catalog.pg_get_wal_summarizer_state()",
        {format_lsn(question_.to.lsn)});
    if (rows.empty() || rows.is_null(0, 0) || rows.truth(0, 0)) return;
    environment_.clock.wait(stop_, kPoll);
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
  }
}

/// What begins before may name pages that changed before.
std::vector<Summary> Comparison::list() {
  const auto rows = connection_.query(
      "SELECT start_lsn, end_lsn FROM pg_catalog.pg_available_wal_summaries() WHERE tli = $1::bigint "
      "AND start_lsn >= $2::pg_lsn AND end_lsn <= $3::pg_lsn AND start_lsn < end_lsn ORDER BY start_lsn, end_lsn DESC",
      {std::to_string(question_.to.timeline.value), format_lsn(question_.from.lsn), format_lsn(question_.to.lsn)});
  std::vector<Summary> summaries;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    summaries.push_back({postgres::parse_lsn(rows.text(i, 0)), postgres::parse_lsn(rows.text(i, 1))});
  }
  return summaries;
}

/// Why this one is not compared. The server makes all rows of a summary before it sends the first.
std::string Comparison::obstacle(const Summary& summary) const {
  if (environment_.clock.steady_now() >= end_) return "there are more summaries than were compared in time";
  const auto name =
      fmt::format("{:08X}{:016X}{:016X}.summary", question_.to.timeline.value, summary.from.value, summary.to.value);
  const auto file = environment_.files.stat(question_.data_directory / "pg_wal" / "summaries" / name);
  if (!file) return fmt::format("the summary '{}' is gone", name);
  if (file->size > question_.largest_file) return fmt::format("the summary '{}' is large", name);
  return {};
}

std::string Comparison::compare(const Summary& summary) {
  connection_.query("BEGIN READ ONLY");
  connection_.query(fmt::format(
      "DECLARE summary NO SCROLL CURSOR FOR SELECT reltablespace, reldatabase, relfilenode, relblocknumber, "
      "is_limit_block FROM pg_catalog.pg_wal_summary_contents({}, '{}', '{}') WHERE relforknumber = 0",
      question_.to.timeline.value, format_lsn(summary.from), format_lsn(summary.to)));
  std::string missing;
  while (missing.empty()) {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the backup was stopped");
    const auto rows = connection_.query(fmt::format("FETCH {} FROM summary", kRowsAtOnce));
    for (std::size_t i = 0; i < rows.size() && missing.empty(); ++i) missing = compare(rows, i, summary);
    if (rows.size() < kRowsAtOnce) break;
  }
  connection_.query("COMMIT");
  return missing;
}

std::string Comparison::compare(const postgres::Rows& rows, std::size_t row, const Summary& summary) {
  const auto number = [&](std::size_t column) { return static_cast<std::uint32_t>(rows.integer(row, column)); };
  const RelationFork of{number(0), number(1), number(2), 0};
  const std::uint32_t block = number(3);
  const bool limit = rows.truth(row, 4);
  const bool database = of.relation == 0;
  if (database ? changes_.has_database(of.tablespace, of.database)
               : (limit ? changes_.is_new_from(of, block) : changes_.has(of, block))) {
    return {};
  }
  if (limit && block == 0 && !database) {
    changes_.note_new_from(of, 0);
    return {};
  }
  const auto what =
      database ? fmt::format("database {} in tablespace {}", of.database, of.tablespace)
               : fmt::format("{} {} of relation {} of database {} in tablespace {}",
                             limit ? "the end at block" : "block", block, of.relation, of.database, of.tablespace);
  return fmt::format("the server's summary of the WAL from {} to {} names {}, which the map of changed pages does not",
                     format_lsn(summary.from), format_lsn(summary.to), what);
}

}  // namespace

SummaryAnswer compare_with_summaries(const Environment& environment, const SummaryQuestion& question,
                                     PageChanges& changes, std::stop_token stop) {
  SummaryAnswer answer;
  try {
    Comparison(environment, question, changes, stop).run(answer);
  } catch (const core::Error& e) {
    if (stop.stop_requested() || e.code() == core::Code::kCancelled) throw;
    answer.not_compared = e.message();
  }
  return answer;
}

std::optional<std::uint64_t> wal_kept_for_summaries(postgres::Connection& connection) {
  if (connection.server_version() < kVersionWithSummaries) return std::nullopt;
  // All since the last checkpoint is kept for a start after a crash. Before its first look the summariser has no LSN.
  const auto rows = connection.query(
      "SELECT CASE WHEN s.summarized_lsn = '0/0' THEN 0 "
      "ELSE greatest(pg_catalog.pg_wal_lsn_diff(c.redo_lsn, s.summarized_lsn), 0)::bigint END "
      "FROM pg_catalog.pg_get_wal_summarizer_state() s, pg_catalog.pg_control_checkpoint() c "
      "WHERE pg_catalog.current_setting('summarize_wal')::boolean");
  if (rows.empty()) return std::nullopt;
  return static_cast<std::uint64_t>(rows.integer(0, 0));
}

}  // namespace backstay::backup
