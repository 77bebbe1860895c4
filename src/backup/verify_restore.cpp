#include "backup/verify_restore.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "backup/cluster_copy.h"
#include "backup/confirm.h"
#include "backup/known_damage.h"
#include "backup/recover.h"
#include "core/error.h"
#include "core/log.h"
#include "os/file_system.h"
#include "os/untrusted_directory.h"
#include "postgres/cluster_files.h"
#include "postgres/control_file.h"
#include "postgres/page_checksum.h"
#include "postgres/postmaster_file.h"
#include "postgres/server.h"

namespace backstay::backup {
namespace {

constexpr auto kStopDeadline = std::chrono::minutes(2);
constexpr auto kReadyDeadline = std::chrono::minutes(10);
constexpr std::size_t kReadSize = 128 * postgres::kPageSize;
constexpr std::size_t kDamagedKept = 20;
/// Besides its files and the WAL that is replayed: what the server writes to begin and to end.
constexpr std::uint64_t kWorkingRoom = 256U << 20;
constexpr int kVersionWithEventTriggerSetting = 17;
/// In a server's log: it came upon something that it could not go on from.
constexpr std::array<std::string_view, 3> kFailed = {"terminated by signal 11", "terminated by signal 6", "PANIC:"};

/// The copy is thrown away, so that nothing has to be safe from a crash and nothing tidied; a tenant's trigger must not
/// run in our sessions.
class ThrowawayLauncher final : public postgres::Launcher {
 public:
  ThrowawayLauncher(postgres::Launcher& inner, int major) : inner_(inner), major_(major) {}

  os::ProcessId start(const postgres::ServerSpec& spec) override {
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

 private:
  postgres::Launcher& inner_;
  const int major_;
};

/// True if the error says something of the backup, and not of the store, the machine or this program.
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

using Damaged = std::map<std::filesystem::path, postgres::DamagedDirectory>;

class Verification {
 public:
  Verification(const Environment& environment, const VerifyRestoreRequest& request, const ProgressCallback& progress,
               std::stop_token stop)
      : environment_(environment),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        launcher_(request.launcher, request.installation.major),
        begin_(environment.clock.steady_now()) {}

  RestoreProof run();

 private:
  std::optional<RecoveryPlan> make_plan();
  void look(const RecoveryPlan& plan);
  void recover_copy(const RecoveryPlan& plan, const postgres::InstancePaths& paths);
  /// Nothing if the error says something of the backup; else what is to be thrown.
  std::optional<core::Error> reason_not_known(const core::Error& error, const std::string& log) const;
  Damaged check_pages(const std::filesystem::path& data);
  void check_file(const postgres::ClusterEntry& entry, Damaged& damaged);
  void check_server(postgres::Server& server, const Damaged& damaged);
  void start_closed(postgres::Server& server);
  void problem(std::string what);
  void found(const core::Error& error);
  void tell_record();
  void require_room();
  [[nodiscard]] postgres::ServerDescription describe(const postgres::InstancePaths& paths) const;
  void report(const Progress& progress) {
    if (scratch_) scratch_->check_room(std::min(written_, expected_));
    if (progress_) progress_(progress);
  }
  core::Duration elapsed() const {
    return std::chrono::duration_cast<core::Duration>(environment_.clock.steady_now() - begin_);
  }

  const Environment& environment_;
  const VerifyRestoreRequest& request_;
  const ProgressCallback& progress_;
  const std::stop_token stop_;
  ThrowawayLauncher launcher_;
  const core::SteadyTime begin_;
  std::optional<ScratchDirectory> scratch_;
  std::uint64_t expected_ = 0;
  std::uint64_t written_ = 0;
  bool store_damaged_ = false;
  RestoreProof proof_;
};

RestoreProof Verification::run() {
  if (const auto plan = make_plan()) look(*plan);
  const auto& checks = proof_.checks;
  proof_.problems.insert(proof_.problems.end(), checks.problems.begin(), checks.problems.end());
  proof_.problem_count += checks.problem_count;
  tell_record();
  // Other backups may need what is damaged, and a restore ends at the first that it meets.
  if (store_damaged_) {
    confirm_backup(environment_, request_.repository, request_.instance, request_.backup_id, progress_, stop_);
  }
  return std::move(proof_);
}

std::optional<RecoveryPlan> Verification::make_plan() {
  const auto record = request_.repository.backup(request_.instance, request_.backup_id);
  if (!record) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("no backup '{}' of instance '{}' is stored", request_.backup_id, request_.instance));
  }
  if (record->mechanism != "physical") {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("the backup '{}' is a dump: only physical backups are verified by restoring them",
                                  request_.backup_id));
  }
  try {
    return WalArchive(request_.repository, request_.instance)
        .plan(ToBackup{request_.backup_id}, environment_.clock.now());
  } catch (const core::Error& error) {
    if (!is_finding(error)) throw;
    found(error);
    return std::nullopt;
  }
}

postgres::ServerDescription Verification::describe(const postgres::InstancePaths& paths) const {
  postgres::ServerDescription description;
  description.name = "verification of " + request_.backup_id;
  description.installation = request_.installation;
  description.paths = paths;
  description.identity = request_.identity;
  return description;
}

void Verification::look(const RecoveryPlan& plan) {
  expected_ = plan.file_bytes + plan.wal_bytes;
  scratch_.emplace(environment_, request_.scratch, expected_ + kWorkingRoom, std::nullopt);
  const postgres::InstancePaths paths{scratch_->path()};
  postgres::Server server(describe(paths), environment_.files, environment_.clock);
  const auto end = [&] {
    try {
      server.stop(postgres::StopMode::kImmediate, kStopDeadline, {});
      if (request_.end_processes) request_.end_processes();
    } catch (const core::Error& error) {
      core::log_warning("verification.not_ended", error.message(), {{"backup", request_.backup_id}});
    }
    scratch_.reset();
  };
  try {
    recover_copy(plan, paths);
    const auto damaged = check_pages(paths.data());
    start_closed(server);
    proof_.recovery_time = elapsed();
    check_server(server, damaged);
  } catch (const core::Error& error) {
    const auto reason = reason_not_known(error, server.log_tail(20));
    end();
    if (!reason) return found(error);
    // What was found before is true all the same.
    if (proof_.checks.problem_count == 0 || stop_.stop_requested()) throw *reason;
    proof_.checks.notes.push_back("the rest was not looked at: " + reason->message());
    return;
  } catch (...) {
    end();
    throw;
  }
  end();
}

std::optional<core::Error> Verification::reason_not_known(const core::Error& error, const std::string& log) const {
  if (!is_finding(error)) return error;
  if (environment_.files.free_space(request_.scratch.parent) < request_.scratch.reserve) {
    return core::Error(core::Code::kDiskFull, error.message()).with_hint(request_.scratch.hint);
  }
  const bool failed = std::ranges::any_of(kFailed, [&](auto words) { return log.find(words) != log.npos; });
  // By the time of the checks it has started and answered.
  const bool vanished = error.code() == core::Code::kDatabaseUnavailable && proof_.recovery_time && !failed;
  if (!vanished && !postgres::blames_machine(log)) return std::nullopt;
  return core::Error(core::Code::kUnavailable, "the server of the restored copy was ended: " + error.message())
      .with_hint("the machine may have been short of memory or room; it is tried again later");
}

void Verification::recover_copy(const RecoveryPlan& plan, const postgres::InstancePaths& paths) {
  const RecoverRequest recovery{.repository = request_.repository,
                                .plan = plan,
                                .name = "verification of " + request_.backup_id,
                                .paths = paths,
                                .installation = request_.installation,
                                .identity = request_.identity,
                                .launcher = launcher_,
                                .resources = request_.resources,
                                .restore_helper = request_.restore_helper,
                                .workers = request_.workers};
  recover(
      environment_, recovery,
      [&](const Progress& progress) {
        if (progress.phase == "restore") written_ = progress.done;
        if (progress.phase == "replay") written_ = plan.file_bytes + progress.done;
        // The last phase: by now the restored server has answered.
        if (progress.phase == "stop" && !proof_.first_query_time) proof_.first_query_time = elapsed();
        report(progress);
      },
      stop_);
}

/// The server has ended, so that every page is in its file as it is.
Damaged Verification::check_pages(const std::filesystem::path& data) {
  Damaged damaged;
  const auto control = postgres::parse_control_file(read_control_file(environment_.clock, data, stop_));
  if (control.data_checksum_version == 0) {
    proof_.checks.notes.emplace_back("the cluster has no page checksums, so that none were checked");
    return damaged;
  }
  postgres::walk_cluster(data, stop_, [&](const postgres::ClusterEntry& entry) {
    if (entry.type == postgres::EntryType::kFile && entry.first_block) check_file(entry, damaged);
  });
  return damaged;
}

void Verification::check_file(const postgres::ClusterEntry& entry, Damaged& damaged) {
  // The server replaces a damaged page of these by an empty one.
  const bool is_map = entry.path.find("_fsm") != std::string::npos;
  thread_local core::Bytes buffer(kReadSize);
  const auto file = entry.open();
  for (std::uint64_t at = 0;;) {
    if (stop_.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was stopped");
    const std::size_t got = os::read_at(file.get(), at, buffer);
    const auto first = *entry.first_block + static_cast<std::uint32_t>(at / postgres::kPageSize);
    for (std::uint32_t i = 0; (i + 1) * postgres::kPageSize <= got; ++i) {
      ++proof_.pages;
      const auto page = core::ByteSpan(buffer).subspan(i * postgres::kPageSize, postgres::kPageSize);
      if (is_map || postgres::check_page(page, first + i) != postgres::PageState::kInvalid) continue;
      auto& directory = damaged[std::filesystem::path(entry.path).parent_path()];
      ++directory.count;
      if (directory.first.size() < kDamagedKept) directory.first.push_back({entry.path, first + i});
    }
    at += got;
    if (got < buffer.size()) return;
    report({.phase = "pages", .done = proof_.pages * postgres::kPageSize, .total = expected_});
  }
}

void Verification::start_closed(postgres::Server& server) {
  const auto& paths = server.description().paths;
  const auto control = postgres::parse_control_file(read_control_file(environment_.clock, paths.data(), stop_));
  postgres::ClosedServerConfig config;
  config.resources = request_.resources;
  config.limits = control.limits;
  config.recovering = false;
  config.major = request_.installation.major;
  postgres::write_server_config(environment_.files, paths, config, request_.identity);
  server.wait_until_ready(server.start(launcher_), kReadyDeadline, stop_);
}

void Verification::check_server(postgres::Server& server, const Damaged& damaged) {
  const auto connect = [&](const std::string& database) {
    auto target = server.management_target(database);
    const std::array<std::string, 2> candidates = {target.user, std::string(postgres::kSuperuserRole)};
    return postgres::connect_as_superuser(std::move(target), candidates, stop_);
  };
  postgres::ClusterCheckRequest wanted;
  wanted.connect = connect;
  wanted.progress = [&](std::uint64_t done, std::uint64_t total) {
    report({.phase = "check", .done = done, .total = total});
  };
  for (const auto& [path, directory] : damaged) wanted.damaged.push_back(directory);
  postgres::check_cluster(wanted, proof_.checks, stop_);
}

void Verification::problem(std::string what) {
  ++proof_.problem_count;
  proof_.problems.push_back(std::move(what));
}

void Verification::found(const core::Error& error) {
  store_damaged_ = is_store_damage(error.code());
  problem(error.message());
}

/// Others may have learnt something about the backup while it was restored.
void Verification::tell_record() {
  auto record = request_.repository.backup(request_.instance, request_.backup_id);
  if (!record) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("the backup '{}' was removed while it was verified", request_.backup_id));
  }
  if (proof_.problems.empty()) {
    record->verified = environment_.clock.now();
    record->restore_problem.clear();
    record->recovery_time = proof_.recovery_time;
    record->first_query_time = proof_.first_query_time;
  } else {
    record->restore_problem = proof_.problems.front();
    core::log_error(
        "backup.not_verified", "a restore of a backup does not work",
        {{"instance", request_.instance}, {"backup", request_.backup_id}, {"problem", proof_.problems.front()}});
  }
  request_.repository.put_backup(*record);
}

}  // namespace

RestoreProof verify_restore(const Environment& environment, const VerifyRestoreRequest& request,
                            const ProgressCallback& progress, std::stop_token stop) {
  try {
    return Verification(environment, request, progress, std::move(stop)).run();
  } catch (core::Error& e) {
    throw std::move(e).add_context(fmt::format("verifying the backup '{}'", request.backup_id));
  }
}

void clear_restores(const Environment& environment, const std::filesystem::path& parent,
                    const std::function<void(uid_t)>& end_processes_of) {
  if (!environment.files.stat(parent)) return;
  for (const auto& entry : environment.files.list(parent)) {
    const postgres::InstancePaths paths{parent / entry.name};
    if (const auto data = environment.files.stat(paths.data())) {
      postgres::ServerDescription left;
      left.name = entry.name;
      left.paths = paths;
      postgres::Server(left, environment.files, environment.clock)
          .stop(postgres::StopMode::kImmediate, kStopDeadline, {});
      end_processes_of(data->uid);
    }
  }
  clear_scratch(environment.files, parent);
}

}  // namespace backstay::backup
