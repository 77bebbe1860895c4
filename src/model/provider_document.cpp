#include "model/provider_document.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::model {

namespace json = core::json;

namespace {

constexpr std::size_t kLargestDocument = 256 * 1024;
constexpr std::size_t kLongestName = 63;
constexpr std::size_t kLongestEndpoint = 2048;
constexpr std::array<std::string_view, 6> kPrices{"cpu-tenths", "free",     "network-bandwidth-mbps",
                                                  "ram-mib",    "replicas", "storage-mib"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

bool is_provider_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || is_lower(c) || c == '-' || c == '_'; });
}

bool is_schema_version(std::string_view text) {
  return text.size() >= 2 && text.size() <= kLongestName && text[0] == 'v' && is_digit(text[1]) &&
         std::ranges::all_of(text.substr(1), [](char c) { return is_digit(c) || is_lower(c); });
}

bool is_endpoint(std::string_view text) {
  return (text.starts_with("http://") || text.starts_with("https://")) && text.size() <= kLongestEndpoint &&
         std::ranges::none_of(text, [](unsigned char c) { return c <= ' ' || c == '?' || c == '#' || c == 0x7f; });
}

/// Reads one document and collects what is wrong with it.
class DocumentReader {
 public:
  explicit DocumentReader(const json::object& document) : document_(document) {}

  ProviderDefinition run() {
    refuse_other_backends();
    if (core::to_text(document_).size() > kLargestDocument) {
      refuse("", fmt::format("is larger than {} KiB", kLargestDocument / 1024));
      raise();
    }
    read_identity();
    provider_.config_schema = schema(document_, "configSchema", "", true);
    provider_.secrets_schema = schema(document_, "secretsSchema", "", true);
    provider_.details_schema = schema(document_, "detailsSchema", "", true);
    if (const auto* backups = read([&] { return core::find_object(document_, "backups"); })) {
      provider_.backups_config_schema = schema(*backups, "configSchema", "/backups", false);
      provider_.backups_secrets_schema = schema(*backups, "secretsSchema", "/backups", false);
    }
    read_capabilities();
    read_plans();
    read_versions();
    read_backend();
    raise();
    return std::move(provider_);
  }

 private:
  void refuse(std::string pointer, std::string message) { fields_.push_back({std::move(pointer), std::move(message)}); }

  void raise() const {
    if (fields_.empty()) return;
    core::Error error(core::Code::kInvalidArgument,
                      fmt::format("the provider cannot be published: {} {}", fields_[0].pointer, fields_[0].message));
    for (const auto& field : fields_) error.with_field(field.pointer, field.message);
    throw error;
  }

  template <typename Read>
  auto read(Read read_field) -> decltype(read_field()) {
    try {
      return read_field();
    } catch (const core::Error& error) {
      fields_.insert(fields_.end(), error.fields().begin(), error.fields().end());
      return {};
    }
  }

  void refuse_other_backends() const {
    const auto* backend = document_.if_contains("backend");
    const bool landscape = backend != nullptr && backend->is_object() && backend->get_object().contains("landscape");
    if (!landscape && !document_.contains("gitUrl")) return;
    throw core::Error(core::Code::kNotSupported, landscape
                                                     ? "a provider whose backend is a landscape cannot be run here"
                                                     : "a provider cannot be published from a git repository here")
        .with_field(landscape ? "/backend/landscape" : "/gitUrl",
                    landscape ? "needs a platform that deploys landscapes" : "is not fetched")
        .with_hint("publish the definition inline, with backend.api naming a server of the adapter contract");
  }

  std::string text(std::string_view key) {
    return read([&] { return core::require_string(document_, key); });
  }

  void read_identity() {
    provider_.kind = kRestKind;
    provider_.name = text("name");
    if (document_.contains("name") && !is_provider_name(provider_.name)) {
      refuse("/name", fmt::format("may have lower case letters, digits, '-' and '_', at most {}", kLongestName));
    }
    const auto version = read([&] { return core::find_string(document_, "schemaVersion"); });
    const auto older = read([&] { return core::find_string(document_, "version"); });
    if (version && older && *version != *older) refuse("/version", "differs from schemaVersion; give one of them");
    provider_.version = version ? *version : older.value_or("v1");
    if (!is_schema_version(provider_.version)) {
      refuse(version ? "/schemaVersion" : "/version", "must be 'v', a digit, and digits or lower case letters");
    }
    provider_.author = text("author");
    provider_.category = text("category");
    provider_.display_name = text("displayName");
    provider_.icon_url = text("iconUrl");
    provider_.description = text("description");
  }

  json::object schema(const json::object& parent, std::string_view key, std::string_view pointer, bool required) {
    const auto* found = read([&]() -> const json::object* {
      return required ? &core::require_object(parent, key, pointer) : core::find_object(parent, key, pointer);
    });
    if (found == nullptr) return {};
    compile(*found, core::pointer_to(pointer, key));
    return *found;
  }

  void compile(const json::object& schema, const std::string& pointer) {
    try {
      static_cast<void>(JsonSchema::compile(schema));
    } catch (const core::Error& error) {
      if (error.fields().empty()) refuse(pointer, error.message());
      for (const auto& field : error.fields()) refuse(pointer + field.pointer, field.message);
    }
  }

  void read_capabilities() {
    const auto* found = read([&] { return core::find_object(document_, "capabilities"); });
    if (found == nullptr) return;
    const auto flag = [&](std::string_view key) {
      return read([&] { return core::find_bool(*found, key, "/capabilities"); }).value_or(false);
    };
    provider_.capabilities = {flag("pause"), flag("backups"), flag("pointInTimeRecovery")};
    if (provider_.capabilities.point_in_time_recovery && !provider_.capabilities.backups) {
      refuse("/capabilities/pointInTimeRecovery", "needs the capability 'backups'");
    }
  }

  void read_plans() {
    const auto* plans = read([&] { return core::find_array(document_, "plans"); });
    if (plans == nullptr || plans->empty()) return refuse("/plans", "must be an array of at least one plan");
    std::set<std::int64_t> ids;
    for (std::size_t i = 0; i < plans->size(); ++i) {
      const std::string pointer = fmt::format("/plans/{}", i);
      const auto* object = (*plans)[i].if_object();
      if (object == nullptr) {
        refuse(pointer, "must be an object");
        continue;
      }
      provider_.plans.push_back(read_plan(*object, pointer));
      if (!ids.insert(provider_.plans.back().id).second) refuse(pointer + "/id", "is the id of another plan, too");
    }
  }

  PlanDefinition read_plan(const json::object& object, const std::string& pointer) {
    PlanDefinition plan;
    plan.id = read([&] { return core::require_int(object, "id", pointer); });
    if (plan.id < 0) refuse(pointer + "/id", "must not be negative");
    plan.name = read([&] { return core::require_string(object, "name", pointer); });
    plan.description = read([&] { return core::find_string(object, "description", pointer); }).value_or("");
    const auto* parameters = read([&] { return &core::require_object(object, "parameters", pointer); });
    if (parameters == nullptr) return plan;
    for (const auto& [name, value] : *parameters) {
      const auto at = core::pointer_to(pointer + "/parameters", name);
      if (const auto* parameter = value.if_object()) {
        plan.parameters.push_back(read_parameter(std::string(name), *parameter, at));
      } else {
        refuse(at, "must be an object");
      }
    }
    return plan;
  }

  PlanParameter read_parameter(std::string name, const json::object& object, const std::string& pointer) {
    PlanParameter parameter;
    parameter.name = std::move(name);
    parameter.priced_as = read([&] { return core::find_string(object, "pricedAs", pointer); }).value_or("");
    if (!parameter.priced_as.empty() && std::ranges::find(kPrices, parameter.priced_as) == kPrices.end()) {
      refuse(pointer + "/pricedAs", fmt::format("must be one of {}", fmt::join(kPrices, ", ")));
    }
    const auto before = fields_.size();
    parameter.schema = schema(object, "schema", pointer, true);
    if (fields_.size() == before) check_parameter(parameter, pointer + "/schema");
    return parameter;
  }

  /// Plan parameters are whole numbers on the wire, and what the owner cannot set needs a value.
  void check_parameter(const PlanParameter& parameter, const std::string& pointer) {
    const auto* type = parameter.schema.if_contains("type");
    if (type == nullptr || *type != json::value("integer")) refuse(pointer + "/type", "must be 'integer'");
    const auto* fallback = parameter.schema.if_contains("default");
    const auto* read_only = parameter.schema.if_contains("readOnly");
    if (read_only != nullptr && !read_only->is_bool()) return refuse(pointer + "/readOnly", "must be true or false");
    if (fallback == nullptr) {
      if (read_only != nullptr && read_only->get_bool()) {
        refuse(pointer + "/default", "is required where readOnly is true: it is the value");
      }
      return;
    }
    if (!fallback->is_int64()) return refuse(pointer + "/default", "must be a whole number");
    for (const auto& violation : JsonSchema::compile(parameter.schema).validate(*fallback)) {
      refuse(pointer + "/default", violation.message);
    }
  }

  void read_versions() {
    const auto* found = read([&] { return core::find_object(document_, "versions"); });
    if (found == nullptr) return;
    for (const auto& [name, value] : *found) {
      const auto at = core::pointer_to("/versions", name);
      if (!is_semantic_version(name)) refuse(at, "is no version such as 1.2.3");
      const auto* version = value.if_object();
      if (version == nullptr) {
        refuse(at, "must be an object");
        continue;
      }
      json::object kept;
      for (const char* key : {"gitRef", "ciProfile"}) {
        kept[key] = read([&] { return core::require_string(*version, key, at); });
      }
      for (const char* key : {"appVersion", "description"}) {
        if (const auto text = read([&] { return core::find_string(*version, key, at); })) kept[key] = *text;
      }
      provider_.versions[name] = std::move(kept);
    }
  }

  void read_backend() {
    const auto* backend = read([&] { return &core::require_object(document_, "backend"); });
    if (backend == nullptr) return;
    const auto* api = read([&] { return &core::require_object(*backend, "api", "/backend"); });
    if (api == nullptr) return;
    ApiBackend made;
    made.endpoint = read([&] { return core::require_string(*api, "endpoint", "/backend/api"); });
    while (made.endpoint.ends_with('/')) made.endpoint.pop_back();
    if (api->contains("endpoint") && !is_endpoint(made.endpoint)) {
      refuse("/backend/api/endpoint", "must be an http or https address without query and fragment");
    }
    made.secret = core::Secret(read([&] { return core::find_string(*api, "secret", "/backend/api"); }).value_or(""));
    if (made.secret.reveal().find_first_of("\r\n") != std::string::npos) {
      refuse("/backend/api/secret", "must be one line");
    }
    provider_.backend = std::move(made);
  }

  const json::object& document_;
  ProviderDefinition provider_;
  std::vector<core::FieldError> fields_;
};

}  // namespace

bool is_semantic_version(std::string_view text) {
  const auto core_end = std::min(text.find_first_of("-+"), text.size());
  const auto numbers = core::split(text.substr(0, core_end), '.');
  const auto is_number = [](const std::string& part) {
    return !part.empty() && std::ranges::all_of(part, is_digit) && (part.size() == 1 || part[0] != '0');
  };
  if (numbers.size() != 3 || !std::ranges::all_of(numbers, is_number)) return false;
  const auto rest = text.substr(core_end);
  const auto is_word = [](char c) {
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '+';
  };
  return rest.empty() || (rest.size() > 1 && std::ranges::all_of(rest, is_word));
}

ProviderDefinition provider_from_document(const json::object& document) { return DocumentReader(document).run(); }

ProviderScope scope_from_json(const json::object& scope) {
  const auto refuse = [](std::string_view pointer, std::string_view message) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("{} {}", pointer, message))
        .with_field(std::string(pointer), std::string(message));
  };
  const auto type = core::require_string(scope, "type", "/scope");
  const auto* teams = core::find_array(scope, "teamIds", "/scope");
  if (type == "global") {
    if (teams != nullptr && !teams->empty()) refuse("/scope/teamIds", "goes with the type 'team'");
    return {};
  }
  if (type != "team") refuse("/scope/type", "must be 'global' or 'team'");
  if (teams == nullptr || teams->empty()) refuse("/scope/teamIds", "must name at least one team");
  std::set<std::int64_t> ids;
  for (const auto& id : *teams) {
    if (!id.is_int64() || id.get_int64() < 0) refuse("/scope/teamIds", "must be an array of team ids");
    ids.insert(id.get_int64());
  }
  return {.global = false, .team_ids = {ids.begin(), ids.end()}};
}

}  // namespace backstay::model
