#include "backup/recover.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "backup/cluster_copy.h"
#include "backup/recovery_state.h"
#include "backup/recovery_wal_server.h"
#include "backup/restore.h"
#include "core/error.h"
#include "core/log.h"
#include "os/file_system.h"
#include "os/untrusted_directory.h"
#include "postgres/control_file.h"
#include "postgres/replay_activity.h"
#include "postgres/server.h"
#include "postgres/timeline_history.h"

namespace backstay::backup {
namespace {

constexpr auto kReadySlice = std::chrono::milliseconds(250);
constexpr auto kStopDeadline = std::chrono::minutes(10);
constexpr std::size_t kHistoryLimit = 1024 * 1024;

class Recovery {
 public:
  Recovery(const Environment& environment, const RecoverRequest& request, const ProgressCallback& progress,
           std::stop_token stop)
      : environment_(environment),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        server_(describe(request), environment.files, environment.clock) {}

  RecoverResult run();

 private:
  static postgres::ServerDescription describe(const RecoverRequest& request);
  void load_state();
  void enter(RecoveryPhase phase);
  void restore();
  void replay();
  void hand_over();
  void end();
  [[nodiscard]] bool is_promoted();
  [[nodiscard]] bool can_replay();
  void serve_wal();
  void write_config(bool recovering);
  void wait_for_promotion(const RecoveryWalServer& wal, os::ProcessId process);
  [[noreturn]] void replay_failed(const RecoveryWalServer& wal, const std::string& what);
  void note_branch();
  postgres::Connection superuser(const std::string& database = "postgres");
  void say(const char* phase, std::uint64_t done = 0, std::uint64_t total = 0) const {
    if (progress_) progress_({.phase = phase, .done = done, .total = total});
  }
  core::Duration since(core::SteadyTime begin) const {
    return std::chrono::duration_cast<core::Duration>(environment_.clock.steady_now() - begin);
  }

  const Environment& environment_;
  const RecoverRequest& request_;
  const ProgressCallback& progress_;
  std::stop_token stop_;
  postgres::Server server_;
  RecoveryState state_;
  /// From the restore of the files on, so that the first WAL is there when the server asks for it.
  std::optional<RecoveryWalServer> wal_;
};

postgres::ServerDescription Recovery::describe(const RecoverRequest& request) {
  postgres::ServerDescription description;
  description.name = request.name;
  description.installation = request.installation;
  description.paths = request.paths;
  description.identity = request.identity;
  description.management_role = request.management_role;
  if (request.management_password) description.management_password = *request.management_password;
  description.hints = request.hints;
  return description;
}

RecoverResult Recovery::run() {
  postgres::prepare_directories(environment_.files, request_.paths, request_.identity);
  load_state();
  if (state_.phase == RecoveryPhase::kDone) return state_.result;
  try {
    if (state_.phase == RecoveryPhase::kRestore) restore();
    if (state_.phase == RecoveryPhase::kReplay) replay();
    if (state_.phase == RecoveryPhase::kHandOver) hand_over();
    end();
  } catch (...) {
    server_.stop(postgres::StopMode::kImmediate, kStopDeadline, {});
    throw;
  }
  return state_.result;
}

void Recovery::load_state() {
  const std::string plan = plan_identity(request_.plan);
  auto state = load_recovery_state(environment_.files, request_.paths.root);
  if (state && state->plan != plan) {
    throw core::Error(core::Code::kConflict, fmt::format("'{}' holds another recovery: {} instead of {}",
                                                         request_.paths.root.string(), state->plan, plan));
  }
  if (state) {
    state_ = *std::move(state);
  } else if (environment_.files.stat(request_.paths.data())) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("'{}' exists already and no recovery made it", request_.paths.data().string()));
  } else {
    state_.plan = plan;
    enter(RecoveryPhase::kRestore);
  }
}

void Recovery::enter(RecoveryPhase phase) {
  state_.phase = phase;
  save_recovery_state(environment_.files, request_.paths.root, state_);
}

void Recovery::restore() {
  const core::SteadyTime begin = environment_.clock.steady_now();
  server_.stop(postgres::StopMode::kImmediate, kStopDeadline, stop_);
  environment_.files.remove_all(request_.paths.data());
  environment_.files.remove_all(request_.paths.tablespaces());
  postgres::prepare_directories(environment_.files, request_.paths, request_.identity);
  serve_wal();
  RestoreRequest restore{.repository = request_.repository,
                         .instance = request_.plan.instance,
                         .backup_id = request_.plan.base.backup,
                         .record = request_.plan.base,
                         .data_directory = request_.paths.data(),
                         .tablespace_directory = request_.paths.tablespaces(),
                         .identity = request_.identity,
                         .workers = request_.workers};
  state_.result.file_bytes = restore_files(environment_, restore, progress_, stop_).bytes;
  state_.result.restore_time = since(begin);
  enter(RecoveryPhase::kReplay);
}

/// The control file names the new timeline as soon as a promotion is final.
bool Recovery::is_promoted() {
  const auto control =
      postgres::parse_control_file(read_control_file(environment_.clock, request_.paths.data(), stop_));
  return std::max(control.checkpoint_timeline, control.min_recovery_timeline) > request_.plan.timeline;
}

/// False in the moment between the end of recovery and the final promotion: what is there is neither.
bool Recovery::can_replay() {
  const auto& data = request_.paths.data();
  return environment_.files.stat(data / "backup_label") || environment_.files.stat(data / "recovery.signal");
}

void Recovery::write_config(bool recovering) {
  const auto control =
      postgres::parse_control_file(read_control_file(environment_.clock, request_.paths.data(), stop_));
  postgres::ClosedServerConfig config;
  config.resources = request_.resources;
  config.limits = control.limits;
  config.target.immediate = request_.plan.stop.immediate;
  config.target.lsn = request_.plan.stop.lsn;
  config.target.inclusive = request_.plan.stop.inclusive;
  config.target.timeline = request_.plan.timeline;
  config.restore_helper = request_.restore_helper;
  config.recovering = recovering;
  config.major = request_.installation.major;
  postgres::write_server_config(environment_.files, request_.paths, config, request_.identity);
}

void Recovery::serve_wal() {
  RecoveryWalServerConfig config;
  config.instance = request_.plan.instance;
  config.directory = request_.paths.recovery();
  config.identity = request_.identity;
  config.timeline = request_.plan.timeline;
  config.from = request_.plan.wal_from;
  config.to = request_.plan.wal_to;
  config.stop = request_.plan.stop.lsn;
  config.segment_size = request_.plan.base.wal_segment_size;
  wal_.emplace(environment_, request_.repository, config);
}

void Recovery::replay() {
  const core::SteadyTime begin = environment_.clock.steady_now();
  server_.stop(postgres::StopMode::kImmediate, kStopDeadline, stop_);
  if (!is_promoted()) {
    if (!can_replay()) {
      enter(RecoveryPhase::kRestore);
      restore();
    }
    if (!wal_) serve_wal();
    write_config(true);
    wait_for_promotion(*wal_, server_.start(request_.launcher));
    state_.result.wal_bytes = wal_->bytes_served();
  }
  wal_.reset();
  state_.result.replay_time = since(begin);
  enter(RecoveryPhase::kHandOver);
}

void Recovery::wait_for_promotion(const RecoveryWalServer& wal, os::ProcessId process) {
  core::SteadyTime last_step = environment_.clock.steady_now();
  std::pair<std::uint64_t, std::uint64_t> progress;
  while (true) {
    say("replay", wal.bytes_served(), request_.plan.wal_bytes);
    try {
      server_.wait_until_ready(process, kReadySlice, stop_);
      return;
    } catch (const core::Error& e) {
      if (e.code() == core::Code::kDatabaseUnavailable) replay_failed(wal, e.what());
      if (e.code() != core::Code::kTimeout) throw;
    }
    const std::pair now(wal.bytes_served(), postgres::replay_ticks(process.pid).value_or(0));
    if (std::exchange(progress, now) != now) last_step = environment_.clock.steady_now();
    if (since(last_step) > request_.stall_deadline) {
      replay_failed(wal, fmt::format("replay made no progress for {} s; the server's log ends with: {}",
                                     request_.stall_deadline.count(), server_.log_tail()));
    }
  }
}

void Recovery::replay_failed(const RecoveryWalServer& wal, const std::string& what) {
  if (const auto error = wal.last_error()) {
    if (!error->retryable()) throw *error;
    throw core::Error(core::Code::kStoreUnreachable,
                      fmt::format("the recovery stopped because WAL could not be fetched: {}", error->message()));
  }
  throw core::Error(core::Code::kRecoveryFailed, fmt::format("the server did not reach {}: {}", state_.plan, what));
}

postgres::Connection Recovery::superuser(const std::string& database) {
  postgres::ConnectionTarget target = server_.management_target();
  target.database = database;
  const std::array<std::string, 2> candidates = {request_.management_role, std::string(postgres::kSuperuserRole)};
  return postgres::connect_as_superuser(std::move(target), candidates);
}

void Recovery::hand_over() {
  say("hand_over");
  if (!server_.find()) {
    write_config(false);
    server_.wait_until_ready(server_.start(request_.launcher), kStopDeadline, stop_);
  }
  if (request_.management_password) {
    postgres::Connection connection = superuser();
    postgres::ensure_management_role(connection, request_.management_role, *request_.management_password);
  }
  if (!request_.hand_over) {
    postgres::Connection connection = superuser();
    const auto disabled = postgres::disable_subscriptions(connection);
    if (!disabled.empty()) {
      core::log_info("recovery.subscriptions_disabled", "subscriptions of the source were disabled",
                     {{"instance", request_.name}, {"subscriptions", std::to_string(disabled.size())}});
    }
  }
  if (request_.hand_over) {
    const auto connect = [this](const std::string& database) {
      if (request_.management_password) return server_.connect(database, stop_);
      return superuser(database);
    };
    const auto report = postgres::hand_over(connect, *request_.hand_over);
    core::log_info("recovery.handed_over", "roles and databases are the new service's",
                   {{"instance", request_.name},
                    {"disabled_logins", std::to_string(report.disabled_logins.size())},
                    {"disabled_subscriptions", std::to_string(report.disabled_subscriptions.size())}});
  }
}

/// Where the new timeline left its parent stands in its history file.
void Recovery::note_branch() {
  const os::UntrustedDirectory data(request_.paths.data());
  for (const auto& entry : data.list("pg_wal")) {
    const auto timeline = postgres::parse_history_name(entry.name);
    if (!timeline || *timeline <= request_.plan.timeline || *timeline < state_.result.timeline) continue;
    const auto history =
        postgres::parse_timeline_history(core::as_text(data.read_file("pg_wal/" + entry.name, kHistoryLimit)));
    state_.result.timeline = *timeline;
    state_.result.lsn = history.back().end;
  }
  if (state_.result.timeline == postgres::TimelineId{}) {
    throw core::Error(core::Code::kRecoveryFailed, "the server ended recovery without beginning a new timeline");
  }
}

void Recovery::end() {
  say("stop");
  server_.stop(postgres::StopMode::kFast, kStopDeadline, stop_);
  note_branch();
  environment_.files.remove_all(request_.paths.recovery() / "wal");
  enter(RecoveryPhase::kDone);
  core::log_info("recovery.done", "a recovery is complete",
                 {{"instance", request_.name},
                  {"plan", state_.plan},
                  {"timeline", std::to_string(state_.result.timeline.value)},
                  {"restore", core::format_duration(state_.result.restore_time)},
                  {"replay", core::format_duration(state_.result.replay_time)}});
}

}  // namespace

RecoverResult recover(const Environment& environment, const RecoverRequest& request, const ProgressCallback& progress,
                      std::stop_token stop) {
  try {
    return Recovery(environment, request, progress, std::move(stop)).run();
  } catch (core::Error& e) {
    throw std::move(e).add_context(fmt::format("recovery of '{}'", request.name));
  }
}

}  // namespace backstay::backup
