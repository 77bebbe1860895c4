#include "backup/verification_site.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/log.h"
#include "os/file_system.h"
#include "postgres/cluster_checks.h"

namespace backstay::backup {
namespace {

constexpr auto kStopDeadline = std::chrono::minutes(2);
constexpr auto kReadyDeadline = std::chrono::minutes(10);
/// Besides its files and the WAL that is replayed: what the server writes to begin and to end.
constexpr std::uint64_t kWorkingRoom = 256U << 20;
constexpr int kVersionWithEventTriggerSetting = 17;
/// In a server's log: it came upon something that it could not go on from.
constexpr std::array<std::string_view, 3> kFailed = {"terminated by signal 11", "terminated by signal 6", "PANIC:"};

postgres::ServerDescription describe(const VerifyRestoreRequest& request, const postgres::InstancePaths& paths) {
  postgres::ServerDescription description;
  description.name = "verification of " + request.backup_id;
  description.installation = request.installation;
  description.paths = paths;
  description.identity = request.identity;
  return description;
}

}  // namespace

bool is_finding(const core::Error& error) {
  switch (error.code()) {
    case core::Code::kRecoveryFailed:
    case core::Code::kRecoveryOutOfReach:
    case core::Code::kCorruptData:
    case core::Code::kStoreObjectMissing:
    case core::Code::kDatabaseError:
    case core::Code::kDatabaseUnavailable: return true;
    default: return false;
  }
}

os::ProcessId ThrowawayLauncher::start(const postgres::ServerSpec& spec) {
  auto changed = spec;
  const auto set = [&](const char* setting) {
    changed.arguments.emplace_back("-c");
    changed.arguments.emplace_back(setting);
  };
  for (const char* setting : {"fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off"}) {
    set(setting);
  }
  if (major_ >= kVersionWithEventTriggerSetting) set("event_triggers=off");
  return inner_.start(changed);
}

VerificationSite::VerificationSite(const Environment& environment, const VerifyRestoreRequest& request,
                                   std::uint64_t bytes)
    : environment_(environment),
      request_(request),
      expected_(bytes),
      scratch_(environment, request.scratch, bytes + kWorkingRoom, std::nullopt),
      paths_{scratch_.path()},
      server_(describe(request, paths_), environment.files, environment.clock),
      launcher_(request.launcher, request.installation.major) {}

VerificationSite::~VerificationSite() {
  try {
    server_.stop(postgres::StopMode::kImmediate, kStopDeadline, {});
    if (request_.end_processes) request_.end_processes();
  } catch (const core::Error& error) {
    core::log_warning("verification.not_ended", error.message(), {{"backup", request_.backup_id}});
  }
}

void VerificationSite::start_closed(const postgres::ReplayLimits& limits, const std::stop_token& stop) {
  postgres::ClosedServerConfig config;
  config.resources = request_.resources;
  config.limits = limits;
  config.recovering = false;
  config.major = request_.installation.major;
  postgres::write_server_config(environment_.files, paths_, config, request_.identity);
  server_.wait_until_ready(server_.start(launcher_), kReadyDeadline, stop);
}

void VerificationSite::check_room(std::uint64_t written) { scratch_.check_room(std::min(written, expected_)); }

std::optional<core::Error> VerificationSite::reason_not_known(const core::Error& error, bool has_answered) const {
  if (!is_finding(error)) return error;
  if (environment_.files.free_space(request_.scratch.parent) < request_.scratch.reserve) {
    return core::Error(core::Code::kDiskFull, error.message()).with_hint(request_.scratch.hint);
  }
  const std::string log = server_.log_tail(20);
  const bool failed = std::ranges::any_of(kFailed, [&](auto words) { return log.find(words) != log.npos; });
  const bool vanished = error.code() == core::Code::kDatabaseUnavailable && has_answered && !failed;
  if (!vanished && !postgres::blames_machine(log)) return std::nullopt;
  return core::Error(core::Code::kUnavailable, "the server of the restored copy was ended: " + error.message())
      .with_hint("the machine may have been short of memory or room; it is tried again later");
}

}  // namespace backstay::backup
