#include "api/house/bodies.h"

#include "api/fields.h"
#include "core/random.h"

namespace backstay::api::house {
namespace {

using Refused = std::vector<core::FieldError>;

core::json::object object_or_empty(Fields& fields, std::string_view key) {
  auto value = fields.object(key);
  return value ? *std::move(value) : core::json::object();
}

model::Secrets secrets_or_none(Fields& fields) { return fields.secrets("secrets").value_or(model::Secrets()); }

control::ProviderRequest provider_request(Fields& body, Refused& refused) {
  const auto object = body.required_object("provider");
  if (!object) return {};
  Fields fields(*object, body.pointer_of("provider"), refused);
  control::ProviderRequest request{.name = fields.required_text("name"), .version = fields.text("schemaVersion")};
  const auto version = fields.text("version");
  if (request.version && version && *version != *request.version) {
    fields.refuse("version", "differs from schemaVersion; give one of them");
  }
  if (!request.version) request.version = version;
  return request;
}

control::PlanRequest plan_request(const core::json::object& object, Fields& body, Refused& refused) {
  Fields fields(object, body.pointer_of("plan"), refused);
  control::PlanRequest request{.id = fields.required_integer("id"), .parameters = {}};
  request.parameters = fields.required_object("parameters").value_or(core::json::object());
  return request;
}

std::optional<std::string> uuid(Fields& fields, std::string_view key) {
  auto value = fields.text(key);
  if (value && !core::is_uuid(*value)) fields.refuse(key, "must be a UUID");
  return value;
}

control::BackupsRequest backups_request(const core::json::object& object, Fields& body, Refused& refused) {
  Fields fields(object, body.pointer_of("backups"), refused);
  control::BackupsRequest request;
  request.enabled = fields.flag("enabled");
  request.interval_hours = fields.integer("intervalH");
  request.retention_days = fields.integer("deleteRetentionDays");
  request.config = fields.object("config");
  request.secrets = fields.secrets("secrets");
  return request;
}

control::RecoverRequest recover_request(const core::json::object& object, Fields& body, Refused& refused) {
  Fields fields(object, body.pointer_of("recoverFrom"), refused);
  control::RecoverRequest request;
  request.backup_id = uuid(fields, "id");
  request.service_id = uuid(fields, "msId");
  request.time = fields.time("time");
  request.config = object_or_empty(fields, "config");
  request.secrets = secrets_or_none(fields);
  if (request.backup_id && (request.service_id || object.contains("time"))) {
    fields.refuse("id", "excludes msId and time");
  } else if (!request.backup_id && !request.service_id) {
    fields.refuse("msId", "is required where id is not given");
  }
  return request;
}

}  // namespace

control::CreateServiceRequest create_service_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::CreateServiceRequest request;
  request.team_id = fields.required_integer("teamId");
  request.name = fields.required_text("name");
  request.provider = provider_request(fields, refused);
  if (const auto plan = fields.required_object("plan")) request.plan = plan_request(*plan, fields, refused);
  request.config = object_or_empty(fields, "config");
  request.secrets = secrets_or_none(fields);
  if (const auto backups = fields.object("backups")) request.backups = backups_request(*backups, fields, refused);
  if (const auto recover = fields.object("recoverFrom")) {
    request.recover_from = recover_request(*recover, fields, refused);
  }
  request.app_version = fields.text("version");
  require_none_refused(refused);
  return request;
}

control::UpdateServiceRequest update_service_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::UpdateServiceRequest request;
  request.name = fields.text("name");
  request.config = fields.object("config");
  request.secrets = fields.secrets("secrets");
  if (const auto plan = fields.object("plan")) request.plan = plan_request(*plan, fields, refused);
  if (const auto backups = fields.object("backups")) request.backups = backups_request(*backups, fields, refused);
  request.pause = fields.flag("pause");
  request.app_version = fields.text("version");
  require_none_refused(refused);
  return request;
}

control::CreateTeamRequest create_team_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::CreateTeamRequest request{.name = fields.required_text("name"), .slug = fields.text("slug")};
  require_none_refused(refused);
  return request;
}

control::CreateTokenRequest create_token_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  fields.allow_only({"name", "scopes", "allTeams", "teamIds", "expiresAt"});
  control::CreateTokenRequest request;
  request.name = fields.required_text("name");
  request.scopes = fields.texts("scopes").value_or(std::vector<std::string>());
  request.all_teams = fields.flag("allTeams").value_or(false);
  request.team_ids = fields.integers("teamIds").value_or(std::vector<std::int64_t>());
  request.expires_at = fields.time("expiresAt");
  require_none_refused(refused);
  return request;
}

control::CreateDestinationRequest create_destination_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  fields.allow_only({"teamId", "name", "config", "secrets", "isDefault"});
  control::CreateDestinationRequest request;
  request.team_id = fields.required_integer("teamId");
  request.name = fields.required_text("name");
  request.is_default = fields.flag("isDefault").value_or(false);
  request.config = fields.required_object("config").value_or(core::json::object());
  request.secrets = secrets_or_none(fields);
  require_none_refused(refused);
  return request;
}

}  // namespace backstay::api::house
