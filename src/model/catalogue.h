// The catalogue: every provider that can be deployed here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/provider.h"

namespace backstay::model {

/// A PostgreSQL installed on the machine: major "15", full version "15.14".
struct EngineVersion {
  std::string major{};
  std::string full{};
};

class Catalogue {
 public:
  explicit Catalogue(std::vector<ProviderDefinition> providers) : providers_(std::move(providers)) {}

  [[nodiscard]] const std::vector<ProviderDefinition>& all() const { return providers_; }
  /// Null if there is no such offer. An empty version means the newest of that name. `team_id`: among what this team
  /// may deploy.
  [[nodiscard]] const ProviderDefinition* find(std::string_view name, std::string_view version,
                                               std::optional<std::int64_t> team_id = std::nullopt) const;
  /// Throws Error(unknown_provider) that names what is offered.
  [[nodiscard]] const ProviderDefinition& require(std::string_view name, std::string_view version,
                                                  std::optional<std::int64_t> team_id = std::nullopt) const;

 private:
  std::vector<ProviderDefinition> providers_{};
};

/// The offers of the PostgreSQL provider for what is installed: `postgres`/`v1`, and `postgresql`/"<major>" for each.
/// `settings` are the schemas of the server settings that users may choose, by name; they join the config schema.
/// Nothing is offered if nothing is installed.
std::vector<ProviderDefinition> postgresql_offers(const std::vector<EngineVersion>& installed,
                                                  const core::json::object& settings);

/// The PostgreSQL major that a service wants: from its offer, or from config.version ("15", "15.14"), or the newest
/// installed. Throws Error(unknown_provider) if that one is not installed.
std::string engine_major(const ProviderDefinition& provider, const core::json::object& config,
                         const std::vector<EngineVersion>& installed);

/// What the owner wants of a PostgreSQL service, out of the two offers' different words.
struct PostgresWishes {
  std::string user = "app";
  std::string database = "app";
  core::Secret user_password{};
  /// Empty unless asked for.
  core::Secret superuser_password{};
  /// What is left of the config: the server settings, as given.
  core::json::object settings{};
};
PostgresWishes postgres_wishes(const ProviderDefinition& provider, const core::json::object& config,
                               const Secrets& secrets);

}  // namespace backstay::model
