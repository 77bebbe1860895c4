// Providers as the catalogue describes them, and the rules for plans.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/secret.h"
#include "core/time.h"
#include "model/json_schema.h"
#include "model/service.h"

namespace backstay::model {

struct PlanParameter {
  std::string name{};
  /// "storage-mib", "ram-mib", "cpu-tenths"...; empty for none.
  std::string priced_as{};
  core::json::object schema{};
  /// How many canonical units one unit of this parameter is (1024 for storage in GB).
  std::int64_t unit = 1;

  /// Fixed by the plan.
  [[nodiscard]] bool read_only() const;
};

struct PlanDefinition {
  std::int64_t id = 0;
  std::string name{};
  std::string description{};
  std::vector<PlanParameter> parameters{};
};

struct Capabilities {
  bool pause = false;
  bool backups = false;
  bool point_in_time_recovery = false;
};

/// Where the backend of a published provider listens, by the adapter contract.
struct ApiBackend {
  /// "https://host/api/v1/redis", without a slash at its end.
  std::string endpoint{};
  /// Sent as bearer token; never shown.
  core::Secret secret{};
};

/// Who may deploy services of a provider.
struct ProviderScope {
  bool global = true;
  /// Ascending; empty for a global one.
  std::vector<std::int64_t> team_ids{};
  friend bool operator==(const ProviderScope&, const ProviderScope&) = default;
};

struct ProviderDefinition {
  std::string name{};
  std::string version{};
  /// Which backend runs it.
  std::string kind{};
  /// The engine's major version where the offer fixes it; empty where config.version chooses.
  std::string engine_version{};
  std::string author, category, display_name, icon_url, description;
  core::json::object config_schema, secrets_schema, details_schema;
  core::json::object backups_config_schema, backups_secrets_schema;
  std::vector<PlanDefinition> plans{};
  Capabilities capabilities{};
  /// The application versions of the published document, by SemVer.
  core::json::object versions{};
  /// Nothing for what is built in.
  std::optional<ApiBackend> backend{};
  ProviderScope scope{};
  std::optional<core::Timestamp> created_at{};

  [[nodiscard]] bool visible_to(std::int64_t team_id) const;
  [[nodiscard]] const PlanDefinition* find_plan(std::int64_t id) const;
};

/// The plan a request means. `asked` holds what the request gave; what it did not give comes from `current` (the
/// service's plan before, null at creation) where the new plan allows that value, else from the plan's default.
/// A read-only parameter may be given only with its own value. Throws Error(invalid_argument) with fields below /plan.
ServicePlan resolve_plan(const ProviderDefinition& provider, std::int64_t id, const core::json::object& asked,
                         const ServicePlan* current = nullptr);

/// Each throws Error(invalid_argument) with every violation: fields below /config, /secrets, /backups/config,
/// /backups/secrets (or `pointer`).
void check_config(const ProviderDefinition& provider, const core::json::object& config);
void check_secrets(const ProviderDefinition& provider, const Secrets& secrets);
void check_backup_store(const ProviderDefinition& provider, const core::json::object& config, const Secrets& secrets,
                        const std::string& pointer = "/backups");
/// A change of config against x-update-constraint; `after` is the whole new config.
void check_config_update(const ProviderDefinition& provider, const core::json::object& before,
                         const core::json::object& after);
/// The same for secrets; what is refused is not repeated.
void check_secrets_update(const ProviderDefinition& provider, const Secrets& before, const Secrets& after);
/// Ranges of the house API: interval 1..730 hours, retention 1..365 days.
void check_backup_settings(const BackupSettings& settings);

/// The definition as the house API lists it, schemas as given, without the backend's secret.
core::json::object to_json(const ProviderDefinition& provider);

}  // namespace backstay::model
