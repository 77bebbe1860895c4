#include "postgres/backup_session.h"

#include <string_view>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

constexpr int kVersionOfNewNames = 150'000;

/// The number after "START TIMELINE: ".
TimelineId timeline_of_label(std::string_view label) {
  constexpr std::string_view kMark = "START TIMELINE: ";
  if (const auto at = label.find(kMark); at != std::string_view::npos) {
    const auto rest = label.substr(at + kMark.size());
    if (const auto number = core::parse_int(rest.substr(0, rest.find('\n')))) {
      return {static_cast<std::uint32_t>(*number)};
    }
  }
  throw core::Error(core::Code::kDatabaseError, "the backup label names no timeline");
}

}  // namespace

BackupSession::BackupSession(Connection connection) : connection_(std::move(connection)) {}

BackupStart BackupSession::start(const std::string& label, bool fast, std::chrono::milliseconds deadline) {
  if (started_) throw core::Error(core::Code::kInternal, "the backup session has been started already");
  const auto* call = connection_.server_version() >= kVersionOfNewNames
                         ? "SELECT pg_catalog.pg_backup_start($1, $2::boolean)"
                         : "SELECT pg_catalog.pg_start_backup($1, $2::boolean, false)";
  const auto rows = connection_.query(call, {label, fast ? "true" : "false"}, deadline);
  started_ = true;
  const auto timeline = connection_.query("SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()");
  return {parse_lsn(rows.text(0, 0)), {static_cast<std::uint32_t>(timeline.integer(0, 0))}};
}

BackupStop BackupSession::stop(std::chrono::milliseconds deadline) {
  if (!started_) throw core::Error(core::Code::kInternal, "the backup session has not been started");
  const auto* call = connection_.server_version() >= kVersionOfNewNames
                         ? "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_backup_stop(false)"
                         : "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_stop_backup(false, false)";
  const auto rows = connection_.query(call, {}, deadline);
  started_ = false;
  BackupStop result;
  result.lsn = parse_lsn(rows.text(0, 0));
  result.backup_label = rows.text(0, 1);
  if (!rows.is_null(0, 2)) result.tablespace_map = rows.text(0, 2);
  result.timeline = timeline_of_label(result.backup_label);
  return result;
}

}  // namespace backstay::postgres
