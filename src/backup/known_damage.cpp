#include "backup/known_damage.h"

#include <algorithm>

#include <fmt/format.h>

#include "backup/incremental_facts.h"
#include "repository/manifest.h"
#include "repository/record_update.h"

namespace backstay::backup {
namespace {

/// The first of the damaged packs that the backup needs, and what was found in it; empty if it needs none.
std::string problem_of(repository::Repository& repository, const repository::BackupRecord& record,
                       const std::map<std::string, std::string>& problems) {
  try {
    const repository::ManifestReader manifest(repository, record);
    for (const repository::ObjectId& pack : manifest.packs()) {
      const auto found = problems.find(repository::pack_key(pack));
      if (found != problems.end()) return fmt::format("{}: {}", found->first, found->second);
    }
  } catch (const core::Error& e) {
    if (!is_store_damage(e.code())) throw;
  }
  return {};
}

}  // namespace

bool is_store_damage(core::Code code) {
  return code == core::Code::kCorruptData || code == core::Code::kStoreObjectMissing ||
         code == core::Code::kUnsupportedFormat;
}

bool is_doubtful(const std::vector<repository::BackupRecord>& records, const repository::BackupRecord& backup) {
  const core::Timestamp full_time = facts_of(backup).full_time;
  return std::ranges::any_of(records, [&](const repository::BackupRecord& record) {
    return record.mechanism == backup.mechanism && facts_of(record).full_time == full_time &&
           !(record.problem.empty() && record.restore_problem.empty());
  });
}

void note_problem(repository::Repository& repository, const repository::BackupRecord& backup,
                  const std::string& problem) {
  update_backup(repository, backup, [&](repository::BackupRecord& record) {
    if (!record.problem.empty()) return false;
    record.problem = problem;
    return true;
  });
}

void note_damaged_packs(repository::Repository& repository, const std::string& instance,
                        const std::map<std::string, std::string>& problems) {
  if (problems.empty()) return;
  for (const repository::BackupRecord& record : repository.backups(instance)) {
    const std::string problem = problem_of(repository, record, problems);
    if (!problem.empty()) note_problem(repository, record, problem);
  }
}

}  // namespace backstay::backup
