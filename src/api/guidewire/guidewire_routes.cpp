#include "api/guidewire/guidewire_routes.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/fields.h"
#include "api/guidewire/backup_resource.h"
#include "api/guidewire/dialect.h"
#include "api/guidewire/planets.h"
#include "api/json_response.h"
#include "api/request_check.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api::guidewire {
namespace {

namespace json = core::json;
using control::Principal;
using control::ServiceName;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

constexpr std::string_view kPrefix = "/api/v1/tenants/{tenantId}/starsystems/{projectId}";
constexpr std::string_view kTenantGrant = "tenant.";
constexpr std::string_view kAnyTenantGrant = "any.tenant";
constexpr std::string_view kProjectGrant = "project.";

bool is_granted(const Principal& principal, std::string_view grant) {
  return std::ranges::find(principal.grants, grant) != principal.grants.end();
}

/// A token that was had by OAuth names its tenants; the teams that it sees are those.
void require_tenant_grant(const Principal& principal) {
  if (principal.grants.empty() || is_granted(principal, kAnyTenantGrant)) return;
  const bool any = std::ranges::any_of(principal.grants, [](const auto& it) { return it.starts_with(kTenantGrant); });
  if (!any) throw Error(Code::kForbidden, "the token has neither a tenant's scope nor 'any.tenant'");
}

/// The star system that the path names, with every service of its tenant.
struct StarSystem {
  std::string tenant;
  std::string project;
  std::vector<ServiceName> services;

  StarSystem(const Context& context, const Request& request, const Principal& principal)
      : tenant(request.param("tenantId")), project(request.param("projectId")) {
    require_tenant_grant(principal);
    services = context.queries.service_names(context.queries.team_of_slug(tenant, principal).id, principal);
  }
  /// Those whose backups are found here.
  [[nodiscard]] bool holds_backups_of(const ServiceName& service) const {
    return backups_project_of(service) == project;
  }
  [[nodiscard]] const ServiceName* owner_of(const model::Backup& backup) const {
    const auto found = std::ranges::find(services, backup.service_id, &ServiceName::id);
    return found != services.end() && holds_backups_of(*found) ? &*found : nullptr;
  }
};

Error no_backup(const std::string& id) {
  return {Code::kNotFound, fmt::format("there is no backup '{}' in the star system", id)};
}

struct FoundBackup {
  model::Backup backup;
  const ServiceName& owner;
};

/// What is being deleted is gone for these clients.
FoundBackup find_backup(const Context& context, const StarSystem& stars, const std::string& id,
                        const Principal& principal) {
  const auto number = core::parse_int(id);
  if (!number) throw no_backup(id);
  auto backup = context.queries.backup_of_number(*number, principal);
  const auto* owner = stars.owner_of(backup);
  const bool gone = backup.state == model::BackupState::kDeleting || backup.state == model::BackupState::kDeleted;
  if (owner == nullptr || gone) throw no_backup(id);
  return {std::move(backup), *owner};
}

Response list_answer(const Context& context, std::vector<json::object> backups) {
  std::ranges::sort(backups, std::greater{}, [](const auto& it) { return it.at("id").as_int64(); });
  json::array list(backups.begin(), backups.end());
  return json_response(context.bare_lists ? json::value(std::move(list)) : json::object{{"backups", std::move(list)}});
}

void append_backups(const Context& context, const StarSystem& stars, const ServiceName& service,
                    const Principal& principal, std::vector<json::object>& listed) {
  for (const auto& backup : context.queries.backups(service.id, principal)) {
    if (backup.state == model::BackupState::kDeleting) continue;
    listed.push_back(backup_resource(backup, service, stars.tenant));
  }
}

Response list_of_system(const Context& context, const Request& request, const Principal& principal) {
  const StarSystem stars(context, request, principal);
  std::vector<json::object> listed;
  bool is_there = false;
  for (const auto& service : stars.services) {
    if (!stars.holds_backups_of(service)) continue;
    is_there = true;
    append_backups(context, stars, service, principal, listed);
  }
  if (!is_there) throw Error(Code::kNotFound, fmt::format("there is no star system '{}'", stars.project));
  return list_answer(context, std::move(listed));
}

Response list_of_planet(const Context& context, const Request& request, const Principal& principal) {
  const StarSystem stars(context, request, principal);
  const auto& planet = require_planet(stars.services, stars.project, request.param("planetId"));
  std::vector<json::object> listed;
  if (stars.holds_backups_of(planet)) append_backups(context, stars, planet, principal, listed);
  return list_answer(context, std::move(listed));
}

model::BackupMechanism mechanism_of(Fields& fields) {
  const auto word = core::to_lower(fields.text("mechanism").value_or("logical"));
  if (word == "physical" || word == "snapshot") return model::BackupMechanism::kPhysical;
  if (word != "logical") fields.refuse("mechanism", "is none of logical, physical, snapshot");
  return model::BackupMechanism::kLogical;
}

void check_planet_class(Fields& fields, const ServiceName& planet) {
  const auto named = fields.text("planetClass");
  if (!named || core::to_lower(*named) == stage_of(planet)) return;
  fields.refuse("planetClass",
                fmt::format("is '{}', the planet '{}' is of class '{}'", *named, planet_of(planet), stage_of(planet)));
}

/// Either kept so many days, or until somebody deletes it.
void read_keeping(Fields& fields, control::TakeBackupRequest& wanted) {
  const bool temporary = fields.flag("temporary").value_or(false);
  const auto days = fields.integer("retentionPeriodInDays");
  wanted.pinned = !temporary;
  if (!temporary) return;
  if (!days) fields.refuse("retentionPeriodInDays", "is required for a temporary backup");
  wanted.temporary_days = days;
}

void read_metadata(const json::object& body, std::vector<core::FieldError>& refused,
                   control::TakeBackupRequest& wanted) {
  const auto metadata = Fields(body, "", refused).object("metadata");
  if (!metadata) return;
  Fields fields(*metadata, "/metadata", refused);
  wanted.label = fields.text("name").value_or("");
  if (const auto description = fields.text("description"); description && !description->empty()) {
    wanted.labels[std::string(kDescriptionLabel)] = *description;
  }
}

control::TakeBackupRequest take_request(const Request& request, const ServiceName& planet) {
  const auto body = json_body(request);
  std::vector<core::FieldError> refused;
  Fields fields(body, "", refused);
  control::TakeBackupRequest wanted;
  wanted.mechanism = mechanism_of(fields);
  check_planet_class(fields, planet);
  read_keeping(fields, wanted);
  read_metadata(body, refused, wanted);
  require_none_refused(refused);
  return wanted;
}

/// A refusal names the field as this request has it.
Error in_words_of_request(const Error& error) {
  static const std::map<std::string, std::string, std::less<>> fields{
      {"/temporaryDays", "/retentionPeriodInDays"},
      {"/label", "/metadata/name"},
      {"/labels/guidewire.description", "/metadata/description"}};
  Error renamed(error.code(), error.message());
  renamed.with_hint(error.hint());
  for (const auto& [pointer, message] : error.fields()) {
    const auto field = fields.find(pointer);
    renamed.with_field(field == fields.end() ? pointer : field->second, message);
  }
  return renamed;
}

Response create(const Context& context, const Request& request, const Principal& principal) {
  const StarSystem stars(context, request, principal);
  const auto& planet = require_planet(stars.services, stars.project, request.param("planetId"));
  const auto wanted = take_request(request, planet);
  try {
    const auto backup = context.commands.schedule_backup(planet.id, principal, wanted);
    return json_response(backup_resource(backup, planet, stars.tenant), 201);
  } catch (const Error& error) {
    throw in_words_of_request(error);
  }
}

/// What a request made whose answer was lost.
Response created(const Context& context, const Request& request, const Principal& principal, const std::string& id) {
  const StarSystem stars(context, request, principal);
  const auto& planet = require_planet(stars.services, stars.project, request.param("planetId"));
  return json_response(backup_resource(context.queries.backup(id, principal), planet, stars.tenant), 201);
}

Response get(const Context& context, const Request& request, const Principal& principal) {
  const StarSystem stars(context, request, principal);
  const auto found = find_backup(context, stars, request.param("backupId"), principal);
  return json_response(backup_resource(found.backup, found.owner, stars.tenant));
}

Response remove(const Context& context, const Request& request, const Principal& principal) {
  const StarSystem stars(context, request, principal);
  const auto found = find_backup(context, stars, request.param("backupId"), principal);
  context.commands.delete_backup(found.backup.id, principal, control::Effect::kLasting, {.pinned_too = true});
  return json_response(json::object());
}

/// The documentation breaks off where it names the key; each of these is taken.
std::string backup_id_of(const json::object& body) {
  std::vector<core::FieldError> refused;
  const auto as_text = [](const json::value* value) -> std::optional<std::string> {
    if (value == nullptr) return std::nullopt;
    if (value->is_int64()) return std::to_string(value->get_int64());
    if (value->is_string()) return std::string(value->get_string());
    return std::nullopt;
  };
  for (const auto* key : {"backupId", "databaseBackupId", "dbBackupId"}) {
    if (const auto id = as_text(body.if_contains(key))) return *id;
  }
  const auto* backup = body.if_contains("backup");
  if (backup != nullptr && backup->is_object()) {
    if (const auto id = as_text(backup->get_object().if_contains("id"))) return *id;
  }
  throw Error(Code::kInvalidArgument, "the request names no backup")
      .with_field("/backupId", "must be the id of a backup of the star system");
}

/// A token that was had by OAuth needs the project's scope beside the tenant's.
void require_project_grant(const Principal& principal, const std::string& project) {
  if (principal.grants.empty() || is_granted(principal, std::string(kProjectGrant) + project)) return;
  throw Error(Code::kForbidden, fmt::format("the token does not have the scope '{}{}'", kProjectGrant, project));
}

/// A word that is none of the classes may well mean production.
void require_restorable_stage(const ServiceName& planet) {
  const auto stage = stage_of(planet);
  if (stage == "prod") {
    throw Error(Code::kConflict, fmt::format("nothing is restored onto the production planet '{}'", planet_of(planet)));
  }
  if (stage == "dev" || stage == "qa" || stage == "uat" || stage == "preprod") return;
  throw Error(Code::kConflict,
              fmt::format("the planet '{}' is of the class '{}', which is none of dev, qa, uat, preprod "
                          "and prod: whether anything may be restored onto it is not known",
                          planet_of(planet), stage))
      .with_hint("correct its label guidewire.stage");
}

Response restore(const Context& context, const Request& request, const Principal& principal) {
  const StarSystem stars(context, request, principal);
  require_project_grant(principal, stars.project);
  const auto& planet = require_planet(stars.services, stars.project, request.param("planetId"));
  const auto found = find_backup(context, stars, backup_id_of(json_body(request)), principal);
  require_restorable_stage(planet);
  if (found.backup.state != model::BackupState::kCompleted) {
    throw Error(Code::kConflict, fmt::format("the backup {} is not ready", found.backup.number));
  }
  const auto change = context.commands.recover_service(
      {.backup_id = found.backup.id, .target_id = planet.id, .into = control::RecoverInto::kInPlace}, principal);
  return json_response(json::object{{"operationId", change.operation.value().id},
                                    {"status", "in_progress"},
                                    {"backupId", found.backup.number},
                                    {"environment", environment_of(planet, stars.tenant)}},
                       202);
}

/// Empty for one that the caller does not see.
std::string id_of_planet(const Context& context, const Request& request, const Principal& principal) {
  for (const auto& team : context.queries.teams(principal)) {
    if (team.slug != request.param("tenantId")) continue;
    return planet_id(context.queries.service_names(team.id, principal), request.param("projectId"),
                     request.param("planetId"));
  }
  return "";
}

Endpoint endpoint(std::string method, const std::string& path, std::string operation, std::string summary,
                  Scope scope) {
  const auto parameter = [](std::string name) {
    return Parameter{.name = std::move(name), .description = "", .schema = {{"type", "string"}}};
  };
  return {
      .method = std::move(method),
      .path = std::string(kPrefix) + path,
      .operation = "guidewire-" + std::move(operation),
      .tag = "Guidewire",
      .summary = std::move(summary),
      .base = Base::kRoot,
      .scope = scope,
      .path_parameters = {parameter("tenantId"), parameter("projectId"), parameter("planetId"), parameter("backupId")},
      .refusal = refusal_schema()};
}

json::object creation_schema() {
  return core::parse_json(R"json({
    "type": "object",
    "properties": {
      "mechanism": {"type": ["string", "null"], "description": "logical, or physical, also called snapshot"},
      "planetClass": {"type": ["string", "null"], "description": "must be the planet's: dev, qa, uat, preprod, prod"},
      "temporary": {"type": ["boolean", "null"], "description": "removed after retentionPeriodInDays; else permanent"},
      "retentionPeriodInDays": {"type": ["integer", "null"]},
      "metadata": {
        "type": ["object", "null"],
        "properties": {"name": {"type": ["string", "null"]}, "description": {"type": ["string", "null"]}}
      }
    }
  })json")
      .as_object();
}

json::object list_schema() {
  const auto list = array_of(backup_schema());
  return {{"type", json::array{"object", "array"}}, {"properties", {{"backups", list}}}, {"items", backup_schema()}};
}

json::object restore_schema() {
  return core::parse_json(R"json({
    "type": "object",
    "properties": {
      "backupId": {"type": ["integer", "string"]},
      "databaseBackupId": {"type": ["integer", "string"]},
      "dbBackupId": {"type": ["integer", "string"]},
      "backup": {"type": "object", "properties": {"id": {"type": ["integer", "string"]}}},
      "applications": {"type": ["array", "null"], "description": "not heeded: Backstay deploys no applications"}
    }
  })json")
      .as_object();
}

json::object restoring_schema() {
  return {{"type", "object"},
          {"required", json::array{"operationId", "status", "backupId", "environment"}},
          {"properties",
           {{"operationId", {{"type", "string"}, {"description", "of GET /api/operations/{id}"}}},
            {"status", {{"type", "string"}}},
            {"backupId", {{"type", "integer"}}},
            {"environment", {{"type", "object"}}}}}};
}

}  // namespace

void add_routes(RouteTable& routes, const Context& context) {
  const auto add = [&](Endpoint endpoint, auto handler, const ReplayHandler& replay = {}) {
    if (endpoint.path.find("{planetId}") != std::string::npos) {
      endpoint.subject = [context](const Request& request, const Principal& principal) {
        return id_of_planet(context, request, principal);
      };
    }
    routes.add(
        endpoint,
        [context, handler](const Request& request, const Principal& principal) {
          return handler(context, request, principal);
        },
        replay);
  };
  auto creation = endpoint("POST", "/planets/{planetId}/backups", "createBackup", "Take a backup of a planet",
                           Scope::kWriteBackups);
  creation.body = creation_schema();
  creation.status = 201;
  creation.answer = backup_schema();
  add(creation, create, [context](const Request& request, const Principal& principal, const std::string& subject) {
    return created(context, request, principal, subject);
  });

  auto single = endpoint("GET", "/backups/{backupId}", "getBackup", "One backup", Scope::kReadBackups);
  single.answer = backup_schema();
  add(single, get);

  auto of_planet =
      endpoint("GET", "/planets/{planetId}/backups", "listPlanetBackups", "Backups of a planet", Scope::kReadBackups);
  of_planet.answer = list_schema();
  add(of_planet, list_of_planet);

  // As the guide prints it, and as it is probably meant.
  for (const auto& [path, name] : {std::pair("/backup", "listBackup"), std::pair("/backups", "listBackups")}) {
    auto of_system = endpoint("GET", path, name, "Backups of a star system", Scope::kReadBackups);
    of_system.answer = list_schema();
    add(of_system, list_of_system);
  }

  auto removal = endpoint("DELETE", "/backups/{backupId}", "deleteBackup", "Delete a backup", Scope::kDeleteBackups);
  removal.answer = {{"type", "object"}};
  add(removal, remove);

  auto restoring = endpoint("POST", "/planets/{planetId}/restoreDb", "restoreDb", "Restore a backup into a planet",
                            Scope::kRecoverInPlace);
  restoring.description = "The planet goes on under its own address; what it held is kept for rollback.";
  restoring.body = restore_schema();
  restoring.status = 202;
  restoring.answer = restoring_schema();
  add(restoring, restore);
  add_token_routes(routes, context);
}

}  // namespace backstay::api::guidewire
