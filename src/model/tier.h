// A tier: a plan of fixed size under a name, with what is promised and allowed beside it.
//
// A service whose plan has a tier is backed up daily, always, and each such backup is kept for as many days as the tier
// says; what its owner asks for besides stays until he deletes it, and counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/provider.h"
#include "model/service.h"

namespace backstay::model {

struct Tier {
  std::string name{};
  /// Among the plans of the PostgreSQL offer that has tiers.
  std::int64_t plan_id = 0;
  std::int64_t cpu_tenths = 0;
  std::int64_t memory_mib = 0;
  /// For the data together with the backups that the owner asked for.
  std::int64_t storage_mib = 0;
  /// What applications may open.
  std::int64_t connections = 0;
  std::int64_t backup_retention_days = 0;
  /// How far back a service can be recovered to a time; 0: not at all.
  std::int64_t pitr_retention_days = 0;
  /// How many services of this tier a team may make; nothing: as many as it likes.
  std::optional<std::int64_t> most_per_team{};
};

/// Every tier is backed up so often.
inline constexpr std::int64_t kTierBackupIntervalH = 24;
/// The offer whose plans have tiers (see data/catalogue/postgresql.json).
inline constexpr std::string_view kTieredKind = "postgresql";
inline constexpr std::string_view kTieredOffer = "postgres";
/// What the server keeps back for its management, besides the applications' connections.
inline constexpr std::int64_t kManagementConnections = 3;

/// Those of data/tiers.json, the smallest first.
const std::vector<Tier>& tiers();
/// Null if there is none of that name.
const Tier* find_tier(std::string_view name);
/// The tier that the service's plan has; null for any other plan.
const Tier* tier_of(const Service& service);
/// As a plan of which nothing can be chosen.
PlanDefinition plan_of(const Tier& tier);

}  // namespace backstay::model
