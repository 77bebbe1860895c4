#include "model/catalogue.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/text.h"
#include "model/tier.h"

namespace backstay::model {

namespace json = core::json;

namespace {

/// data/catalogue/postgresql.json, as it was when the program was built.
constexpr std::string_view kPostgresqlCatalogue =
#include "model/postgresql_catalogue.inc"
    ;

/// 15 for "15", 1 for "v1".
std::int64_t version_number(std::string_view version) {
  if (version.starts_with('v')) version.remove_prefix(1);
  return core::parse_int(version).value_or(0);
}

json::object copy_of(const json::object& from, std::string_view key) { return core::require_object(from, key); }

/// Sizes in the catalogue are in MiB; an offer in larger units shows them divided, rounded up.
json::object in_unit(json::object schema, std::int64_t unit) {
  for (const char* key : {"default", "minimum", "maximum"}) {
    if (json::value* value = schema.if_contains(key)) *value = (value->to_number<std::int64_t>() + unit - 1) / unit;
  }
  return schema;
}

std::vector<PlanDefinition> plans_of(const json::object& catalogue, std::int64_t storage_unit,
                                     const std::string& unit_name) {
  std::vector<PlanDefinition> plans;
  for (const auto& entry : catalogue.at("plans").as_array()) {
    const auto& object = entry.as_object();
    PlanDefinition plan{.id = core::require_int(object, "id"),
                        .name = core::require_string(object, "name"),
                        .description = core::require_string(object, "description"),
                        .parameters = {}};
    for (const auto& [name, value] : core::require_object(object, "parameters")) {
      const auto& described = value.as_object();
      PlanParameter parameter{.name = name,
                              .priced_as = core::find_string(described, "pricedAs").value_or(""),
                              .schema = copy_of(described, "schema")};
      if (name == "storage" && storage_unit != 1) {
        parameter.unit = storage_unit;
        parameter.priced_as.clear();
        parameter.schema = in_unit(std::move(parameter.schema), storage_unit);
      }
      if (name == "storage") parameter.schema["description"] = "size of the data in " + unit_name;
      plan.parameters.push_back(std::move(parameter));
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

json::object config_schema_of(const json::object& offer, const json::object& settings) {
  auto schema = copy_of(offer, "configSchema");
  auto& properties = schema["properties"].as_object();
  for (const auto& [name, setting] : settings) {
    if (!properties.contains(name)) properties[name] = setting;
  }
  return schema;
}

/// config.version where the offer does not fix the major: any minor of an installed major, because what runs is the one
/// that is installed.
void add_version(json::object& config_schema, const std::vector<EngineVersion>& installed) {
  std::string majors;
  json::array examples;
  for (const auto& engine : installed) {
    majors += (majors.empty() ? "" : "|") + engine.major;
    examples.emplace_back(engine.full);
  }
  auto& version = config_schema["properties"].as_object().at("version").as_object();
  version["pattern"] = "^(" + majors + ")(\\.[0-9]{1,2})?$";
  version["default"] = installed.back().major;
  version["examples"] = std::move(examples);
}

ProviderDefinition offer_of(const json::object& catalogue, const json::object& offer, const json::object& settings) {
  const auto& backups = core::require_object(catalogue, "backups");
  const auto& capabilities = core::require_object(catalogue, "capabilities");
  ProviderDefinition provider;
  provider.name = core::require_string(offer, "name");
  provider.kind = core::require_string(catalogue, "kind");
  provider.author = core::require_string(catalogue, "author");
  provider.category = core::require_string(catalogue, "category");
  provider.display_name = core::require_string(catalogue, "displayName");
  provider.icon_url = core::require_string(catalogue, "iconUrl");
  provider.description = core::require_string(catalogue, "description");
  provider.config_schema = config_schema_of(offer, settings);
  provider.secrets_schema = copy_of(offer, "secretsSchema");
  provider.details_schema = copy_of(catalogue, "detailsSchema");
  provider.backups_config_schema = copy_of(backups, "configSchema");
  provider.backups_secrets_schema = copy_of(backups, "secretsSchema");
  provider.plans =
      plans_of(catalogue, core::require_int(offer, "storageUnitMib"), core::require_string(offer, "storageUnitName"));
  if (core::find_bool(offer, "tiers").value_or(false)) {
    for (const auto& tier : tiers()) provider.plans.push_back(plan_of(tier));
  }
  provider.capabilities = {
      .pause = core::find_bool(capabilities, "pause").value_or(false),
      .backups = core::find_bool(capabilities, "backups").value_or(false),
      .point_in_time_recovery = core::find_bool(capabilities, "pointInTimeRecovery").value_or(false)};
  return provider;
}

}  // namespace

const ProviderDefinition* Catalogue::find(std::string_view name, std::string_view version,
                                          std::optional<std::int64_t> team_id) const {
  const ProviderDefinition* newest = nullptr;
  for (const auto& provider : providers_) {
    if (provider.name != name || (team_id && !provider.visible_to(*team_id))) continue;
    if (provider.version == version) return &provider;
    if (version.empty() && (newest == nullptr || version_number(provider.version) > version_number(newest->version))) {
      newest = &provider;
    }
  }
  return newest;
}

const ProviderDefinition& Catalogue::require(std::string_view name, std::string_view version,
                                             std::optional<std::int64_t> team_id) const {
  if (const auto* found = find(name, version, team_id)) return *found;
  std::string offered;
  for (const auto& provider : providers_) {
    if (team_id && !provider.visible_to(*team_id)) continue;
    offered += fmt::format("{}'{}' version '{}'", offered.empty() ? "" : ", ", provider.name, provider.version);
  }
  throw core::Error(core::Code::kUnknownProvider,
                    fmt::format("provider '{}' version '{}' is not offered here; what is: {}", name, version,
                                offered.empty() ? "nothing" : offered))
      .with_field("/provider", "names no provider of the catalogue");
}

std::vector<ProviderDefinition> postgresql_offers(const std::vector<EngineVersion>& installed,
                                                  const json::object& settings) {
  std::vector<ProviderDefinition> offers;
  if (installed.empty()) return offers;
  auto engines = installed;
  std::ranges::sort(engines, {}, [](const EngineVersion& engine) { return version_number(engine.major); });
  const auto document = core::parse_json(kPostgresqlCatalogue);
  const auto& catalogue = document.as_object();
  for (const auto& entry : catalogue.at("offers").as_array()) {
    auto provider = offer_of(catalogue, entry.as_object(), settings);
    if (const auto version = core::find_string(entry.as_object(), "schemaVersion")) {
      provider.version = *version;
      add_version(provider.config_schema, engines);
      offers.push_back(std::move(provider));
      continue;
    }
    for (const auto& engine : engines) {
      provider.version = provider.engine_version = engine.major;
      provider.display_name = "PostgreSQL " + engine.major;
      offers.push_back(provider);
    }
  }
  return offers;
}

std::string engine_major(const ProviderDefinition& provider, const json::object& config,
                         const std::vector<EngineVersion>& installed) {
  auto wanted = provider.engine_version;
  if (wanted.empty()) {
    const auto version = core::find_string(config, "version", "/config");
    if (version) wanted = core::split(*version, '.').front();
  }
  const auto number = [](const EngineVersion& engine) { return version_number(engine.major); };
  if (wanted.empty() && !installed.empty()) return std::ranges::max_element(installed, {}, number)->major;
  if (std::ranges::find(installed, wanted, &EngineVersion::major) == installed.end()) {
    throw core::Error(core::Code::kUnknownProvider, "PostgreSQL '" + wanted + "' is not installed on this machine");
  }
  return wanted;
}

PostgresWishes postgres_wishes(const ProviderDefinition& provider, const json::object& config, const Secrets& secrets) {
  PostgresWishes wishes;
  const auto secret = [&secrets](const char* name) {
    const auto found = secrets.find(name);
    return found == secrets.end() ? core::Secret() : found->second;
  };
  const auto user = core::find_string(config, "userName", "/config");
  const auto secret_user = secret("username");
  if (user && !secret_user.empty() && *user != secret_user.reveal()) {
    throw core::Error(core::Code::kInvalidArgument, "provider '" + provider.name + "' was given two user names")
        .with_field("/config/userName", "differs from secrets.username");
  }
  wishes.user = user ? *user : secret_user.empty() ? wishes.user : secret_user.reveal();
  wishes.database = core::find_string(config, "databaseName", "/config").value_or(wishes.database);
  wishes.user_password = secrets.contains("userPassword") ? secret("userPassword") : secret("password");
  wishes.superuser_password = secret("superuserPassword");
  wishes.settings = config;
  for (const char* own : {"version", "userName", "databaseName"}) wishes.settings.erase(own);
  return wishes;
}

}  // namespace backstay::model
