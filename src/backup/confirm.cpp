#include "backup/confirm.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "backup/incremental_facts.h"
#include "backup/known_damage.h"
#include "core/error.h"
#include "core/log.h"
#include "core/time.h"
#include "repository/manifest.h"
#include "repository/record_update.h"

namespace backstay::backup {
namespace {

/// What a reading rests on beside what it reads: asked before it, and once more after it.
struct Known {
  /// None of a backup whose record is gone or damaged.
  std::optional<repository::ObjectId> attempt = {};
  std::string problem = {};
  /// Whose packs were read back before; none if they were not, or if who knows.
  std::optional<repository::BackupRecord> base = {};
};

std::optional<repository::BackupRecord> trusted_base(repository::Repository& repository,
                                                     const repository::BackupRecord& record) {
  const std::string base_id = facts_of(record).base;
  if (base_id.empty()) return std::nullopt;
  // Of one that is condemned nobody writes down what is found any more.
  const auto records = repository.backups(record.instance);
  const auto base = std::ranges::find(records, base_id, &repository::BackupRecord::backup);
  if (base == records.end() || !is_sound(*base) || is_doubtful(records, *base)) return std::nullopt;
  return *base;
}

Known ask(repository::Repository& repository, const std::string& instance, const std::string& backup_id,
          ReadBack what) {
  Known known;
  try {
    const auto record = repository.backup(instance, backup_id);
    if (!record) return known;
    known.attempt = record->attempt;
    known.problem = record->problem;
    if (what == ReadBack::kOwn) known.base = trusted_base(repository, *record);
  } catch (const core::Error& e) {
    // What is wrong with the backup itself is for the reading to say.
    if (!is_store_damage(e.code())) throw;
  }
  return known;
}

std::vector<repository::ObjectId> packs_of(repository::Repository& repository,
                                           const std::optional<repository::BackupRecord>& base) {
  if (!base) return {};
  try {
    auto packs = repository::ManifestReader(repository, *base).packs();
    std::ranges::sort(packs);
    return packs;
  } catch (const core::Error& e) {
    // A base that went or broke proves nothing.
    if (!is_store_damage(e.code())) throw;
    return {};
  }
}

/// True if nothing was found since that makes the reading worth less.
bool holds(const Known& before, const Known& now) {
  return now.attempt == before.attempt && (now.problem.empty() || now.problem == before.problem) &&
         (!before.base || (now.base && now.base->attempt == before.base->attempt));
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
  const auto attempts = repository.attempts(instance, backup_id);
  if (attempts.empty()) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("no backup '{}' of instance '{}' is stored", backup_id, instance));
  }
  repository::VerifyOptions options;
  options.threads = threads;
  if (progress) {
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      progress({.phase = "verify", .done = done, .total = total});
    };
  }
  repository::VerifyReport report;
  // What others find while it is read, which takes hours, is not in the report: it is read once more, upon what they
  // say.
  auto known = ask(repository, instance, backup_id, what);
  for (bool again = true; again;) {
    options.known_packs = packs_of(repository, known.base);
    report = repository::verify_backup(repository, instance, backup_id, options, stop);
    const auto before = std::exchange(known, ask(repository, instance, backup_id, what));
    again = known.attempt && (known.attempt != report.attempt || (report.ok() && !holds(before, known)));
  }
  if (!report.ok()) {
    core::log_error("backup.damaged", "a stored backup is damaged",
                    {{"instance", instance},
                     {"backup", backup_id},
                     {"object", report.problems.front().object},
                     {"problem", report.problems.front().what}});
    note_damaged_packs(repository, instance, by_object(report.problems));
  }
  // A record that is damaged itself can say nothing.
  const auto is_of_record = [&](const repository::VerifyProblem& problem) {
    return std::ranges::any_of(attempts, [&](const repository::StoredAttempt& stored) {
      return problem.object == repository::backup_record_name(instance, backup_id, stored.attempt).key;
    });
  };
  if (std::ranges::any_of(report.problems, is_of_record)) return report;
  const auto tell = [&](repository::BackupRecord& record) {
    if (report.ok()) {
      record.confirmed = environment.clock.now();
      if (record.problem == known.problem) record.problem.clear();
    } else {
      record.problem = fmt::format("{}: {}", report.problems.front().object, report.problems.front().what);
    }
    return true;
  };
  if (!update_backup(repository, {.backup = backup_id, .instance = instance, .attempt = report.attempt}, tell)) {
    throw core::Error(core::Code::kConflict,
                      fmt::format("the backup '{}' was removed or taken once more while it was read", backup_id));
  }
  return report;
}

}  // namespace backstay::backup
