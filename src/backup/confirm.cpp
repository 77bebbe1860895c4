#include "backup/confirm.h"

#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/time.h"

namespace backstay::backup {

repository::VerifyReport confirm_backup(const Environment& environment, repository::Repository& repository,
                                        const std::string& instance, const std::string& backup_id,
                                        const ProgressCallback& progress, std::stop_token stop) {
  auto record = repository.backup(instance, backup_id);
  if (!record) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("no backup '{}' of instance '{}' is stored", backup_id, instance));
  }
  repository::VerifyOptions options;
  if (progress) {
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      progress({.phase = "verify", .done = done, .total = total});
    };
  }
  auto report = repository::verify_backup(repository, instance, backup_id, options, std::move(stop));
  if (report.ok()) {
    record->confirmed = environment.clock.now();
    record->problem.clear();
  } else {
    record->problem = fmt::format("{}: {}", report.problems.front().object, report.problems.front().what);
    core::log_error("backup.damaged", "a stored backup is damaged",
                    {{"instance", instance}, {"backup", backup_id}, {"problem", record->problem}});
  }
  repository.put_backup(*record);
  return report;
}

}  // namespace backstay::backup
