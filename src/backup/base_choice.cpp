#include "backup/base_choice.h"

#include <algorithm>

#include <fmt/format.h>

#include "backup/incremental_facts.h"
#include "backup/known_damage.h"

namespace backstay::backup {
namespace {

/// Why the backup is no base; empty if it is one.
std::string obstacle(const repository::BackupRecord& base, const repository::BackupRecord& wanted, bool checksums,
                     const BaseRules& rules) {
  const IncrementalFacts facts = facts_of(base);
  if (base.system_identifier != wanted.system_identifier) return "the last backup is of another cluster";
  if (base.start_lsn >= wanted.start_lsn) return "the last backup is of a later state than the server's";
  if (base.details.if_contains("incremental") == nullptr) {
    return "the last backup was taken by a version that took full ones only";
  }
  if (facts.checksums != checksums) return "page checksums were turned on or off since the last backup";
  if (base.pages_failed > 0) return "the last backup holds damaged pages";
  if (facts.depth >= rules.most_incrementals) {
    return fmt::format("{} incremental backups were taken since the last full one", facts.depth);
  }
  if (wanted.start_time - facts.full_time >= rules.oldest_full) {
    return fmt::format("the last full backup is older than {} days",
                       std::chrono::duration_cast<std::chrono::days>(rules.oldest_full).count());
  }
  return {};
}

}  // namespace

BaseChoice choose_base(const repository::Repository& repository, const repository::BackupRecord& wanted, bool checksums,
                       const BaseRules& rules) {
  auto records = repository.backups(wanted.instance);
  std::erase_if(records, [](const auto& record) { return record.mechanism != "physical"; });
  if (records.empty()) return {.base = {}, .reason = "no earlier backup is in the store"};
  // An earlier one is no way out: it may have what is damaged too.
  if (is_doubtful(records, records.back())) {
    return {.base = {}, .reason = "something was found against the last backups, whose bytes this one would share"};
  }
  auto reason = obstacle(records.back(), wanted, checksums, rules);
  if (!reason.empty()) return {.base = {}, .reason = std::move(reason)};
  return {.base = std::move(records.back()), .reason = {}};
}

}  // namespace backstay::backup
