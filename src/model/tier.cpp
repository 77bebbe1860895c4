#include "model/tier.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/json.h"

namespace backstay::model {
namespace {

/// data/tiers.json, as it was when the program was built.
constexpr std::string_view kTiers =
#include "model/tiers.inc"
    ;

Tier tier_from_json(const core::json::object& object) {
  return {.name = core::require_string(object, "name"),
          .plan_id = core::require_int(object, "planId"),
          .cpu_tenths = core::require_int(object, "cpuTenths"),
          .memory_mib = core::require_int(object, "memoryMib"),
          .storage_mib = core::require_int(object, "storageMib"),
          .connections = core::require_int(object, "connections"),
          .backup_retention_days = core::require_int(object, "backupRetentionDays"),
          .pitr_retention_days = core::require_int(object, "pitrRetentionDays"),
          .most_per_team = core::find_int(object, "mostPerTeam")};
}

PlanParameter fixed(std::string name, std::string priced_as, std::int64_t value, std::string_view description) {
  return {.name = std::move(name),
          .priced_as = std::move(priced_as),
          .schema = {{"type", "integer"}, {"default", value}, {"readOnly", true}, {"description", description}}};
}

std::string promises_of(const Tier& tier) {
  auto text = fmt::format("backed up daily and kept for {} days", tier.backup_retention_days);
  if (tier.pitr_retention_days > 0) {
    text += fmt::format("; recovery to any second of {} days", tier.pitr_retention_days);
  }
  return text;
}

std::vector<Tier> read_tiers() {
  const auto document = core::parse_json(kTiers);
  std::vector<Tier> read;
  for (const auto& entry : document.as_object().at("tiers").as_array()) {
    read.push_back(tier_from_json(entry.as_object()));
  }
  return read;
}

}  // namespace

const std::vector<Tier>& tiers() {
  static const std::vector<Tier> read = read_tiers();
  return read;
}

const Tier* find_tier(std::string_view name) {
  const auto found = std::ranges::find(tiers(), name, &Tier::name);
  return found == tiers().end() ? nullptr : &*found;
}

const Tier* tier_of(const Service& service) {
  if (service.provider.kind != kTieredKind || service.provider.name != kTieredOffer) return nullptr;
  const auto found = std::ranges::find(tiers(), service.plan.id, &Tier::plan_id);
  return found == tiers().end() ? nullptr : &*found;
}

PlanDefinition plan_of(const Tier& tier) {
  return {.id = tier.plan_id,
          .name = tier.name,
          .description = promises_of(tier),
          .parameters = {fixed("cpu", "cpu-tenths", tier.cpu_tenths, "tenths of a core"),
                         fixed("memory", "ram-mib", tier.memory_mib, "MiB"),
                         fixed("storage", "storage-mib", tier.storage_mib,
                               "size of the data, with the backups that the owner asked for, in MiB"),
                         fixed("connections", "free", tier.connections + kManagementConnections,
                               "max_connections, of which three are kept for management")}};
}

}  // namespace backstay::model
