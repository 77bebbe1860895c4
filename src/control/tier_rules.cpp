#include "control/tier_rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/storage_use.h"
#include "core/error.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

template <typename Value>
void settle(std::optional<Value>& asked, Value promised, const std::string& pointer, const std::string& words,
            Refusals& refusals) {
  if (asked && *asked != promised) refusals.add(pointer, words);
  asked = promised;
}

bool lives(const model::Backup& backup) {
  using enum model::BackupState;
  return backup.state == kScheduled || backup.state == kRunning || backup.state == kCompleted;
}

/// The data as it was seen last: measured, or in the newest backup.
struct Use {
  std::uint64_t data = 0;
  /// What the backups hold that are there for the owner's sake; one that is not finished yet will hold the data.
  std::uint64_t backups = 0;
};

/// All but those that come with the tier.
bool counts(const model::Backup& backup) { return is_owners(backup) || !backup.schedule_id.empty(); }

Use use_of(metadata::Transaction& tx, const model::Service& service) {
  metadata::BackupFilter filter;
  filter.service_id = service.id;
  const auto all = metadata::Backups(tx).list(filter);
  Use use{.data = known_use(tx, service.status.instance_id)};
  const auto newest = std::ranges::find_if(all, [](const auto& it) { return lives(it) && it.data_bytes > 0; });
  if (newest != all.end()) use.data = std::max(use.data, newest->data_bytes);
  for (const auto& backup : all) {
    if (!counts(backup) || !lives(backup)) continue;
    use.backups += backup.data_bytes > 0 ? backup.data_bytes : use.data;
  }
  return use;
}

core::Error too_much(const std::string& what, const model::Tier& tier, std::uint64_t limit) {
  return {core::Code::kQuotaExceeded,
          fmt::format("{} the {} of the tier '{}'", what, core::format_bytes(limit), tier.name)};
}

core::Error no_time_granted(const model::Tier& tier) {
  return core::Error(core::Code::kQuotaExceeded,
                     fmt::format("the tier '{}' has no recovery to a time, only to its backups", tier.name))
      .with_field("/recoverFrom/time", "is not granted by the tier")
      .with_hint("recover a backup, or choose a larger tier: it grants what is written from then on");
}

core::Timestamp earliest_granted(const model::Tier& tier, core::Timestamp now) {
  return now - std::chrono::days(tier.pitr_retention_days);
}

}  // namespace

bool is_owners(const model::Backup& backup) {
  return backup.origin == model::BackupOrigin::kManual && backup.schedule_id.empty();
}

BackupsRequest tier_backups(const model::Tier& tier, BackupsRequest asked, Refusals& refusals) {
  const auto must = [&](std::string_view value) {
    return fmt::format("must be {}: it comes with the tier '{}'", value, tier.name);
  };
  settle(asked.enabled, true, "/backups/enabled", must("true"), refusals);
  settle(asked.interval_hours, model::kTierBackupIntervalH, "/backups/intervalH",
         must(std::to_string(model::kTierBackupIntervalH)), refusals);
  settle(asked.retention_days, tier.backup_retention_days, "/backups/retentionDays",
         must(std::to_string(tier.backup_retention_days)), refusals);
  return asked;
}

void require_tier_room(metadata::Transaction& tx, const model::Service& wanted) {
  const auto* tier = model::tier_of(wanted);
  if (tier == nullptr || !tier->most_per_team) return;
  metadata::ServiceFilter filter;
  filter.team_ids = {wanted.team_id};
  const auto others = std::ranges::count_if(metadata::Services(tx).list(filter), [&](const model::Service& other) {
    return other.id != wanted.id && other.candidate_of.empty() && !other.delete_requested_at &&
           model::tier_of(other) == tier;
  });
  if (others < *tier->most_per_team) return;
  throw core::Error(core::Code::kQuotaExceeded,
                    fmt::format("the team has {} of the {} services that it may have of the tier '{}'", others,
                                *tier->most_per_team, tier->name))
      .with_field("/plan/id", "may not be chosen by the team any more")
      .with_hint("choose another tier, or delete the other service first");
}

void require_backup_room(metadata::Transaction& tx, const model::Service& service) {
  const auto* tier = model::tier_of(service);
  if (tier == nullptr) return;
  const auto limit = storage_limit(service);
  const auto use = use_of(tx, service);
  if (use.data + use.backups + use.data <= limit) return;
  throw too_much(fmt::format("one more backup of {}, beside the data and {} of backups, is more than",
                             core::format_bytes(use.data), core::format_bytes(use.backups)),
                 *tier, limit)
      .with_hint("delete a backup that was asked for or that a schedule made, or choose a larger tier");
}

void require_plan_granted(metadata::Transaction& tx, const model::Service& before, const model::Service& wanted) {
  const auto* tier = model::tier_of(wanted);
  if (tier == nullptr || model::tier_of(before) == tier) return;
  require_tier_room(tx, wanted);
  const auto limit = storage_limit(wanted);
  if (limit >= storage_limit(before) && model::tier_of(before) != nullptr) return;
  const auto use = use_of(tx, before);
  if (use.data + use.backups <= limit) return;
  throw too_much(fmt::format("the data of {} with {} of backups is more than", core::format_bytes(use.data),
                             core::format_bytes(use.backups)),
                 *tier, limit)
      .with_field("/plan/id", "has too little storage")
      .with_hint("delete backups that were asked for or that schedules made, or choose a larger tier");
}

void require_granted_time(const model::Service& source, core::Timestamp time, core::Timestamp now) {
  const auto* tier = model::tier_of(source);
  if (tier == nullptr) return;
  if (tier->pitr_retention_days == 0) throw no_time_granted(*tier);
  const auto earliest = earliest_granted(*tier, now);
  if (time >= earliest) return;
  throw core::Error(
      core::Code::kRecoveryOutOfReach,
      fmt::format("the time {} is not within reach: the tier '{}' grants {} days, from {} on", core::format_time(time),
                  tier->name, tier->pitr_retention_days, core::format_time(earliest)))
      .with_field("/recoverFrom/time", "lies before what the tier grants");
}

model::RecoveryWindow granted_window(const model::Service& source, model::RecoveryWindow window, core::Timestamp now) {
  const auto* tier = model::tier_of(source);
  if (tier == nullptr) return window;
  if (tier->pitr_retention_days == 0) throw no_time_granted(*tier);
  const auto earliest = earliest_granted(*tier, now);
  if (window.latest && *window.latest < earliest) window.earliest = window.latest = std::nullopt;
  if (window.earliest) window.earliest = std::max(*window.earliest, earliest);
  std::erase_if(window.gaps, [&](const auto& gap) { return gap.to <= earliest; });
  return window;
}

}  // namespace backstay::control
