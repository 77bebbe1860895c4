#include "backup/confirm.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "backup/incremental_facts.h"
#include "backup/known_damage.h"
#include "core/error.h"
#include "core/log.h"
#include "core/time.h"
#include "repository/manifest.h"

namespace backstay::backup {
namespace {

/// The packs that the backup's base needs, if they were read back for it; none if they were not, or if who knows.
std::vector<repository::ObjectId> packs_of_base(repository::Repository& repository, const std::string& instance,
                                                const std::string& backup_id) {
  try {
    const auto record = repository.backup(instance, backup_id);
    const std::string base_id = record ? facts_of(*record).base : std::string();
    if (base_id.empty()) return {};
    const auto base = repository.backup(instance, base_id);
    if (!base || !base->confirmed || is_doubtful(repository.backups(instance), *base)) return {};
    const repository::ManifestReader manifest(repository, instance, base_id);
    if (manifest.id() != base->manifest_id) return {};
    auto packs = manifest.packs();
    std::ranges::sort(packs);
    return packs;
  } catch (const core::Error& e) {
    // What is wrong with the backup itself is for the reading to say; a base that went or broke proves nothing.
    if (!is_store_damage(e.code())) throw;
    return {};
  }
}

std::map<std::string, std::string> by_object(const std::vector<repository::VerifyProblem>& problems) {
  std::map<std::string, std::string> result;
  for (const auto& problem : problems) result.emplace(problem.object, problem.what);
  return result;
}

}  // namespace

repository::VerifyReport confirm_backup(const Environment& environment, repository::Repository& repository,
                                        const std::string& instance, const std::string& backup_id,
                                        const ProgressCallback& progress, std::stop_token stop, unsigned threads,
                                        ReadBack what) {
  const std::string record_key = repository::backup_record_name(instance, backup_id).key;
  const auto require_stored = [&](bool there) {
    if (there) return;
    throw core::Error(core::Code::kNotFound,
                      fmt::format("no backup '{}' of instance '{}' is stored", backup_id, instance));
  };
  require_stored(repository.store().head(record_key).has_value());
  repository::VerifyOptions options;
  options.threads = threads;
  if (what == ReadBack::kOwn) options.known_packs = packs_of_base(repository, instance, backup_id);
  if (progress) {
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      progress({.phase = "verify", .done = done, .total = total});
    };
  }
  auto report = repository::verify_backup(repository, instance, backup_id, options, std::move(stop));
  if (!report.ok()) {
    core::log_error("backup.damaged", "a stored backup is damaged",
                    {{"instance", instance},
                     {"backup", backup_id},
                     {"object", report.problems.front().object},
                     {"problem", report.problems.front().what}});
    note_damaged_packs(repository, instance, by_object(report.problems));
  }
  // A record that is damaged itself can say nothing.
  if (std::ranges::find(report.problems, record_key, &repository::VerifyProblem::object) != report.problems.end()) {
    return report;
  }
  // Others may have learnt something about the backup while it was read.
  auto record = repository.backup(instance, backup_id);
  require_stored(record.has_value());
  if (report.ok()) {
    record->confirmed = environment.clock.now();
    record->problem.clear();
  } else {
    record->problem = fmt::format("{}: {}", report.problems.front().object, report.problems.front().what);
  }
  repository.put_backup(*record);
  return report;
}

}  // namespace backstay::backup
