#include "backup/verify_restore.h"

#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "backup/confirm.h"
#include "backup/known_damage.h"
#include "backup/recover.h"
#include "backup/verification_look.h"
#include "backup/verification_site.h"
#include "core/error.h"
#include "core/log.h"
#include "os/file_system.h"
#include "postgres/postmaster_file.h"
#include "postgres/server.h"
#include "repository/record_update.h"

namespace backstay::backup {
namespace {

constexpr auto kStopDeadline = std::chrono::minutes(2);

class Verification {
 public:
  Verification(const Environment& environment, const VerifyRestoreRequest& request, const ProgressCallback& progress,
               std::stop_token stop)
      : environment_(environment),
        request_(request),
        look_{environment, request, progress, std::move(stop), environment.clock.steady_now()} {}

  RestoreProof run();

 private:
  [[nodiscard]] repository::BackupRecord require_record() const;
  std::optional<RecoveryPlan> make_plan();
  template <typename Work>
  void look(std::uint64_t bytes, const Work& work);
  void found(const core::Error& error);
  void tell_record(const repository::BackupRecord& seen);

  const Environment& environment_;
  const VerifyRestoreRequest& request_;
  Look look_;
  bool store_damaged_ = false;
};

RestoreProof Verification::run() {
  auto record = require_record();
  if (record.mechanism != "physical") {
    look(bytes_of_loaded(record), [&](auto& site) { look_at_dump(look_, site, record); });
  } else if (const auto plan = make_plan()) {
    record = plan->base;
    look(plan->file_bytes + plan->wal_bytes, [&](auto& site) { look_at_cluster(look_, site, *plan); });
  }
  auto& proof = look_.proof;
  const auto& checks = proof.checks;
  proof.problems.insert(proof.problems.end(), checks.problems.begin(), checks.problems.end());
  proof.problem_count += checks.problem_count;
  tell_record(record);
  // Other backups may need what is damaged, and a restore ends at the first that it meets.
  if (store_damaged_) {
    confirm_backup(environment_, request_.repository, request_.instance, request_.backup_id, look_.progress,
                   look_.stop);
  }
  return std::move(proof);
}

repository::BackupRecord Verification::require_record() const {
  auto record = request_.repository.backup(request_.instance, request_.backup_id);
  if (record) return *std::move(record);
  throw core::Error(core::Code::kNotFound, fmt::format("the backup '{}' of instance '{}' is not stored",
                                                       request_.backup_id, request_.instance));
}

std::optional<RecoveryPlan> Verification::make_plan() {
  try {
    return WalArchive(request_.repository, request_.instance)
        .plan(ToBackup{request_.backup_id}, environment_.clock.now());
  } catch (const core::Error& error) {
    if (!is_finding(error)) throw;
    found(error);
    return std::nullopt;
  }
}

/// What the work meets is a finding, or thrown.
template <typename Work>
void Verification::look(std::uint64_t bytes, const Work& work) {
  VerificationSite site(environment_, request_, bytes);
  try {
    work(site);
  } catch (const core::Error& error) {
    const auto reason = site.reason_not_known(error, look_.proof.recovery_time.has_value());
    if (!reason) return found(error);
    // What was found before is true all the same.
    auto& checks = look_.proof.checks;
    if (checks.problem_count == 0 || look_.stop.stop_requested()) throw *reason;
    checks.notes.push_back("the rest was not looked at: " + reason->message());
  }
}

void Verification::found(const core::Error& error) {
  store_damaged_ = is_store_damage(error.code());
  ++look_.proof.problem_count;
  look_.proof.problems.push_back(error.message());
}

void Verification::tell_record(const repository::BackupRecord& seen) {
  const auto& proof = look_.proof;
  const auto tell = [&](repository::BackupRecord& record) {
    if (proof.problems.empty()) {
      record.verified = environment_.clock.now();
      record.restore_problem.clear();
      record.recovery_time = proof.recovery_time;
      record.first_query_time = proof.first_query_time;
    } else {
      record.restore_problem = proof.problems.front();
    }
    return true;
  };
  if (!proof.problems.empty()) {
    core::log_error(
        "backup.not_verified", "a restore of a backup does not work",
        {{"instance", request_.instance}, {"backup", request_.backup_id}, {"problem", proof.problems.front()}});
  }
  if (update_backup(request_.repository, seen, tell)) return;
  throw core::Error(
      core::Code::kConflict,
      fmt::format("the backup '{}' was removed or taken once more while it was verified", request_.backup_id));
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
