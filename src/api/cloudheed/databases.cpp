#include "api/cloudheed/databases.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/cloudheed/call.h"
#include "control/operation_queue.h"
#include "core/text.h"
#include "model/tier.h"

namespace backstay::api::cloudheed {

namespace json = core::json;
using model::Service;
using model::ServiceState;

namespace {

constexpr std::string_view kMasked = "****";
constexpr std::string_view kAuthority = "://";

/// Where the server's address says who is asked for.
std::string user_of(const std::string& dsn) {
  const auto begin = dsn.find(kAuthority) + kAuthority.size();
  return core::url_decode(dsn.substr(begin, dsn.find('@') - begin));
}

std::string database_of(const std::string& dsn) {
  const auto begin = dsn.find('/', dsn.find(kAuthority) + kAuthority.size()) + 1;
  return core::url_decode(dsn.substr(begin, dsn.find('?', begin) - begin));
}

std::string dsn_of(const Service& service) {
  const auto dsn = core::find_string(service.status.details, "dsn").value_or("");
  return dsn.find(kAuthority) != std::string::npos && dsn.find('@') != std::string::npos ? dsn : "";
}

std::string tier_name(const Service& service) {
  const auto* tier = model::tier_of(service);
  return tier == nullptr ? std::string(kNoTier) : tier->name;
}

}  // namespace

json::object name_schema() {
  return {{"type", "string"}, {"minLength", 3}, {"maxLength", kLongestName}, {"pattern", "^[a-z](-?[a-z0-9])*$"}};
}

json::object database_item_schema() {
  const auto text = text_schema();
  return object_schema({{"id", text},
                        {"name", text},
                        {"region", text},
                        {"tier", text},
                        {"version", text},
                        {"status", text},
                        {"created_at", text}},
                       {"id", "name", "region", "tier", "version", "status", "created_at"});
}

json::object database_schema() {
  auto schema = database_item_schema();
  auto& properties = schema["properties"].as_object();
  for (const auto* key : {"type", "updated_at"}) properties[key] = text_schema();
  for (const auto* key : {"host", "database", "username", "connection_string", "status_reason"}) {
    properties[key] = nullable("string");
  }
  properties["port"] = nullable("integer");
  properties["password"] = {{"type", "string"}, {"description", "shown once, when the database is made"}};
  return schema;
}

Service Databases::require(const std::string& id) const {
  control::require_scope(principal_, model::kScopeServicesRead);
  return require_for_backups(id);
}

Service Databases::require_for_backups(const std::string& id) const {
  auto service = context_.queries.service_record(id, principal_);
  if (service.provider.kind != model::kTieredKind || service.deleted_at) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no database '{}'", id_text(kDatabaseId, id)));
  }
  return service;
}

json::object Databases::item(const Service& service) const {
  return {{"id", id_text(kDatabaseId, service.id)},
          {"name", service.name},
          {"region", region(service)},
          {"tier", tier_name(service)},
          {"version", version(service)},
          {"status", status(service)},
          {"created_at", time_value(service.created_at)}};
}

json::object Databases::object(const Service& service) const {
  auto object = item(service);
  const auto dsn = dsn_of(service);
  object["type"] = "postgres";
  for (const auto* key : {"host", "port", "database", "username"}) object[key] = nullptr;
  if (!dsn.empty()) {
    object["host"] = core::find_string(service.status.details, "hostname").value_or("");
    object["port"] = core::find_int(service.status.details, "port").value_or(0);
    object["database"] = database_of(dsn);
    object["username"] = user_of(dsn);
  }
  object["connection_string"] = connection_string(service, std::nullopt);
  if (!service.status.reason.empty()) object["status_reason"] = service.status.reason;
  object["updated_at"] = time_value(service.updated_at);
  return object;
}

std::string Databases::status(const Service& service) const {
  switch (service.status.state) {
    case ServiceState::kCreating: return service.status.last_error.empty() ? "provisioning" : "failed";
    case ServiceState::kSynchronized: return "running";
    case ServiceState::kUpdating: return updating_status(service);
    case ServiceState::kPausing: return "stopping";
    case ServiceState::kPaused: return "stopped";
    case ServiceState::kUnpausing: return "starting";
    case ServiceState::kDeleting:
    case ServiceState::kDeleted: return "deleting";
    case ServiceState::kUnknown:
    case ServiceState::kInvalidProvider: break;
  }
  return "failed";
}

std::string Databases::updating_status(const Service& service) const {
  if (!principal_.may(model::kScopeServicesRead)) return "running";
  const control::OperationFilter newest{.service_id = service.id, .team_id = std::nullopt, .limit = 5};
  for (const auto& operation : context_.queries.operations(newest, principal_)) {
    if (model::is_terminal(operation.state)) continue;
    if (operation.kind == control::kinds::kRestart || operation.kind == control::kinds::kSwitch) return "restarting";
    if (operation.kind == control::kinds::kUpdate && operation.request.contains("plan")) return "resizing";
  }
  return "running";
}

std::vector<std::string> Databases::versions() const {
  std::vector<std::string> found;
  for (const auto& offer : context_.queries.providers(std::nullopt, principal_)) {
    if (offer.kind == model::kTieredKind && !offer.engine_version.empty()) found.push_back(offer.engine_version);
  }
  std::ranges::sort(found, {}, [](const auto& version) { return core::parse_int(version).value_or(0); });
  return found;
}

std::string Databases::version(const Service& service) const {
  if (const auto wanted = core::find_string(service.config, "version")) return core::split(*wanted, '.').front();
  if (core::parse_int(service.provider.version)) return service.provider.version;
  const auto known = versions();
  return known.empty() ? "" : known.back();
}

std::string Databases::region(const Service& service) const {
  const auto found = service.labels.find(std::string(kRegionLabel));
  return found == service.labels.end() ? context_.regions.front() : found->second;
}

json::value connection_string(const Service& service, const std::optional<core::Secret>& password) {
  auto dsn = dsn_of(service);
  if (dsn.empty()) return nullptr;
  const auto shown = password ? core::url_encode(password->reveal()) : std::string(kMasked);
  return json::value(dsn.insert(dsn.find('@'), ":" + shown));
}

std::string_view password_field(const Service& service) {
  return service.provider.name == model::kTieredOffer ? "userPassword" : "password";
}

const FieldNames& database_fields() {
  static const FieldNames names{{"/plan/id", "/tier"},          {"/config/version", "/version"},
                                {"/provider/name", "/version"}, {"/backupId", "/backup_id"},
                                {"/time", "/target_time"},      {"/label", "/name"},
                                {"/destinationId", ""},         {"/backups/config/destinationPath", ""},
                                {"/config/destinationPath", ""}};
  return names;
}

}  // namespace backstay::api::cloudheed
