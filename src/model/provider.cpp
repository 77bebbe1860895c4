#include "model/provider.h"

#include <algorithm>

#include <fmt/format.h>

namespace backstay::model {

namespace json = core::json;

namespace {

constexpr std::int64_t kLongestInterval = 730;
constexpr std::int64_t kLongestRetention = 365;

/// A refusal that collects fields until it is thrown.
class Refusal {
 public:
  explicit Refusal(std::string message) : error_(core::Code::kInvalidArgument, std::move(message)) {}
  void add(std::vector<core::FieldError> fields) {
    for (auto& field : fields) error_.with_field(std::move(field.pointer), std::move(field.message));
  }
  void throw_if_any() const {
    if (!error_.fields().empty()) throw error_;
  }

 private:
  core::Error error_;
};

std::vector<core::FieldError> violations(const json::object& schema, const json::value& value,
                                         const std::string& pointer) {
  return JsonSchema::compile(schema).validate(value, pointer);
}

/// The plan under construction, parameter by parameter.
class PlanResolver {
 public:
  PlanResolver(const PlanDefinition& plan, const json::object& asked, const ServicePlan* current)
      : plan_(plan),
        asked_(asked),
        current_(current),
        refusal_("plan " + std::to_string(plan.id) + " is not possible") {}

  ServicePlan run() {
    for (const auto& [name, value] : asked_) {
      if (std::ranges::find(plan_.parameters, name, &PlanParameter::name) == plan_.parameters.end()) {
        refuse(name, "is not a parameter of plan " + std::to_string(plan_.id));
      }
    }
    ServicePlan result;
    result.id = plan_.id;
    for (const auto& parameter : plan_.parameters) {
      const auto value = value_of(parameter);
      if (!value) continue;
      result.resources[parameter.name] = *value * parameter.unit;
      if (!parameter.read_only()) result.parameters[parameter.name] = *value;
    }
    refusal_.throw_if_any();
    return result;
  }

 private:
  static constexpr std::string_view kPointer = "/plan/parameters";

  void refuse(std::string_view name, std::string message) {
    refusal_.add({{core::pointer_to(kPointer, name), std::move(message)}});
  }

  std::optional<std::int64_t> value_of(const PlanParameter& parameter) {
    const auto fallback = core::find_int(parameter.schema, "default");
    const json::value* asked = asked_.if_contains(parameter.name);
    if (parameter.read_only()) {
      if (asked != nullptr && fallback && *asked != *fallback) {
        refuse(parameter.name, fmt::format("is fixed by the plan at {}", *fallback));
      }
      return fallback;
    }
    if (asked != nullptr) return asked_value(parameter, *asked);
    if (const auto kept = kept_value(parameter)) return kept;
    if (!fallback) refuse(parameter.name, "is required");
    return fallback;
  }

  std::optional<std::int64_t> asked_value(const PlanParameter& parameter, const json::value& asked) {
    const auto pointer = core::pointer_to(kPointer, parameter.name);
    auto found = violations(parameter.schema, asked, pointer);
    if (!found.empty()) {
      refusal_.add(std::move(found));
      return std::nullopt;
    }
    const auto value = asked.to_number<std::int64_t>();
    check_constraint(parameter, value);
    return value;
  }

  void check_constraint(const PlanParameter& parameter, std::int64_t value) {
    if (current_ == nullptr || !current_->parameters.contains(parameter.name)) return;
    const json::object schema{{"properties", {{parameter.name, parameter.schema}}}};
    refusal_.add(check_update_constraints(schema, {{parameter.name, current_->parameters.at(parameter.name)}},
                                          {{parameter.name, value}}, std::string(kPointer)));
  }

  std::optional<std::int64_t> kept_value(const PlanParameter& parameter) const {
    if (current_ == nullptr) return std::nullopt;
    const auto found = current_->parameters.find(parameter.name);
    if (found == current_->parameters.end()) return std::nullopt;
    if (!violations(parameter.schema, json::value(found->second), "").empty()) return std::nullopt;
    return found->second;
  }

  const PlanDefinition& plan_;
  const json::object& asked_;
  const ServicePlan* current_;
  Refusal refusal_;
};

std::string plan_ids(const ProviderDefinition& provider) {
  std::string text;
  for (const auto& plan : provider.plans) text += (text.empty() ? "" : ", ") + std::to_string(plan.id);
  return text;
}

}  // namespace

bool PlanParameter::read_only() const { return core::find_bool(schema, "readOnly").value_or(false); }

bool ProviderDefinition::visible_to(std::int64_t team_id) const {
  return scope.global || std::ranges::find(scope.team_ids, team_id) != scope.team_ids.end();
}

const PlanDefinition* ProviderDefinition::find_plan(std::int64_t id) const {
  const auto found = std::ranges::find(plans, id, &PlanDefinition::id);
  return found == plans.end() ? nullptr : &*found;
}

ServicePlan resolve_plan(const ProviderDefinition& provider, std::int64_t id, const json::object& asked,
                         const ServicePlan* current) {
  const PlanDefinition* plan = provider.find_plan(id);
  if (plan == nullptr) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("provider '{}' has no plan {}", provider.name, id))
        .with_field("/plan/id", "must be one of " + plan_ids(provider));
  }
  return PlanResolver(*plan, asked, current).run();
}

void check_config(const ProviderDefinition& provider, const json::object& config) {
  Refusal refusal("the config does not match the schema of provider '" + provider.name + "'");
  refusal.add(violations(provider.config_schema, config, "/config"));
  refusal.throw_if_any();
}

void check_secrets(const ProviderDefinition& provider, const Secrets& secrets) {
  Refusal refusal("the secrets do not match the schema of provider '" + provider.name + "'");
  refusal.add(violations(provider.secrets_schema, reveal_all(secrets), "/secrets"));
  refusal.throw_if_any();
}

void check_backup_store(const ProviderDefinition& provider, const json::object& config, const Secrets& secrets,
                        const std::string& pointer) {
  Refusal refusal("the backup store does not match the schema of provider '" + provider.name + "'");
  refusal.add(violations(provider.backups_config_schema, config, pointer + "/config"));
  refusal.add(violations(provider.backups_secrets_schema, reveal_all(secrets), pointer + "/secrets"));
  refusal.throw_if_any();
}

void check_config_update(const ProviderDefinition& provider, const json::object& before, const json::object& after) {
  check_config(provider, after);
  Refusal refusal("the config cannot be changed like this");
  // An unset value is what its default says, so that it cannot be changed by being named for the first time.
  refusal.add(check_update_constraints(provider.config_schema, with_defaults(provider.config_schema, before),
                                       with_defaults(provider.config_schema, after), "/config"));
  refusal.throw_if_any();
}

void check_secrets_update(const ProviderDefinition& provider, const Secrets& before, const Secrets& after) {
  Refusal refusal("the secrets cannot be changed like this");
  auto found = check_update_constraints(provider.secrets_schema, reveal_all(before), reveal_all(after), "/secrets");
  for (auto& field : found) field.message = "cannot be changed like this";
  refusal.add(std::move(found));
  refusal.throw_if_any();
}

void check_backup_settings(const BackupSettings& settings) {
  Refusal refusal("the backup settings are out of range");
  if (settings.interval_h < 1 || settings.interval_h > kLongestInterval) {
    refusal.add({{"/backups/intervalH", fmt::format("must be from 1 to {}", kLongestInterval)}});
  }
  if (settings.retention_days < 1 || settings.retention_days > kLongestRetention) {
    refusal.add({{"/backups/deleteRetentionDays", fmt::format("must be from 1 to {}", kLongestRetention)}});
  }
  refusal.throw_if_any();
}

namespace {

json::object to_json(const PlanDefinition& plan) {
  json::object parameters;
  for (const auto& parameter : plan.parameters) {
    json::object rendered{{"schema", parameter.schema}};
    if (!parameter.priced_as.empty()) rendered["pricedAs"] = parameter.priced_as;
    parameters[parameter.name] = std::move(rendered);
  }
  return {{"id", plan.id}, {"name", plan.name}, {"description", plan.description}, {"parameters", parameters}};
}

}  // namespace

json::object to_json(const ProviderDefinition& provider) {
  json::array plans;
  for (const auto& plan : provider.plans) plans.push_back(to_json(plan));
  // Nothing listens at the address of a built-in one.
  const std::string endpoint = provider.backend ? provider.backend->endpoint : "builtin:" + provider.kind;
  json::object object{
      {"name", provider.name},
      {"version", provider.version},
      {"schemaVersion", provider.version},
      {"author", provider.author},
      {"category", provider.category},
      {"displayName", provider.display_name},
      {"iconUrl", provider.icon_url},
      {"description", provider.description},
      {"configSchema", provider.config_schema},
      {"secretsSchema", provider.secrets_schema},
      {"detailsSchema", provider.details_schema},
      {"backups",
       {{"configSchema", provider.backups_config_schema}, {"secretsSchema", provider.backups_secrets_schema}}},
      {"capabilities",
       {{"pause", provider.capabilities.pause},
        {"backups", provider.capabilities.backups},
        {"pointInTimeRecovery", provider.capabilities.point_in_time_recovery}}},
      {"plans", std::move(plans)},
      {"backend", {{"api", {{"endpoint", endpoint}}}}},
      {"scope", provider.scope.global ? "global" : "team"}};
  if (!provider.versions.empty()) object["versions"] = provider.versions;
  if (provider.created_at) object["createdAt"] = core::format_time(*provider.created_at);
  return object;
}

}  // namespace backstay::model
