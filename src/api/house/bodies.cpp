#include "api/house/bodies.h"

#include "api/fields.h"
#include "api/request_check.h"

namespace backstay::api::house {
namespace {

using Refused = std::vector<core::FieldError>;

core::json::object object_or_empty(Fields& fields, std::string_view key) {
  auto value = fields.object(key);
  return value ? *std::move(value) : core::json::object();
}

std::string text_or_empty(Fields& fields, std::string_view key) { return fields.text(key).value_or(""); }
std::int64_t integer_or_zero(Fields& fields, std::string_view key) { return fields.integer(key).value_or(0); }

/// null takes a label away.
model::LabelChanges label_changes(Fields& fields) {
  model::LabelChanges changes;
  for (const auto& [name, value] : object_or_empty(fields, "labels")) {
    changes[std::string(name)] =
        value.is_null() ? std::nullopt : std::optional<std::string>(std::string(value.as_string()));
  }
  return changes;
}

model::Secrets secrets_or_none(Fields& fields) { return fields.secrets("secrets").value_or(model::Secrets()); }

control::ProviderRequest provider_request(Fields& body, Refused& refused) {
  const auto object = body.object("provider");
  if (!object) return {};
  Fields fields(*object, body.pointer_of("provider"), refused);
  control::ProviderRequest request{.name = text_or_empty(fields, "name"), .version = fields.text("schemaVersion")};
  const auto version = fields.text("version");
  if (request.version && version && *version != *request.version) {
    fields.refuse("version", "differs from schemaVersion; give one of them");
  }
  if (!request.version) request.version = version;
  return request;
}

control::PlanRequest plan_request(const core::json::object& object, Fields& body, Refused& refused) {
  Fields fields(object, body.pointer_of("plan"), refused);
  control::PlanRequest request{.id = integer_or_zero(fields, "id"), .parameters = {}};
  request.parameters = object_or_empty(fields, "parameters");
  return request;
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
  request.backup_id = fields.text("id");
  request.service_id = fields.text("msId");
  request.time = fields.time("time");
  request.keep_logins = fields.flag("keepLogins").value_or(false);
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
  request.team_id = integer_or_zero(fields, "teamId");
  request.name = text_or_empty(fields, "name");
  request.provider = provider_request(fields, refused);
  if (const auto plan = fields.object("plan")) request.plan = plan_request(*plan, fields, refused);
  request.config = object_or_empty(fields, "config");
  request.secrets = secrets_or_none(fields);
  if (const auto backups = fields.object("backups")) request.backups = backups_request(*backups, fields, refused);
  if (const auto recover = fields.object("recoverFrom")) {
    request.recover_from = recover_request(*recover, fields, refused);
  }
  request.app_version = fields.text("version");
  request.deletion_protection = fields.flag("deletionProtection").value_or(false);
  request.labels = model::changed({}, label_changes(fields));
  require_none_refused(refused);
  return request;
}

control::RecoverServiceRequest recover_service_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::RecoverServiceRequest request{.service_id = fields.text("serviceId"),
                                         .backup_id = fields.text("backupId"),
                                         .time = fields.time("time"),
                                         .name = fields.text("name"),
                                         .keep_logins = fields.flag("keepLogins")};
  if (const auto into = fields.text("into")) request.into = control::recover_into_from_text(*into);
  require_none_refused(refused);
  return request;
}

control::SwitchRequest switch_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::SwitchRequest request{.candidate_id = fields.text("candidateId"),
                                 .instance_id = fields.text("instanceId"),
                                 .back = fields.flag("back").value_or(false)};
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
  request.deletion_protection = fields.flag("deletionProtection");
  request.labels = label_changes(fields);
  request.app_version = fields.text("version");
  require_none_refused(refused);
  return request;
}

control::CreateTeamRequest create_team_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::CreateTeamRequest request{.name = text_or_empty(fields, "name"), .slug = fields.text("slug")};
  require_none_refused(refused);
  return request;
}

control::CreateTokenRequest create_token_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::CreateTokenRequest request;
  request.name = text_or_empty(fields, "name");
  request.role = fields.text("role");
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
  control::CreateDestinationRequest request;
  request.team_id = integer_or_zero(fields, "teamId");
  request.name = text_or_empty(fields, "name");
  request.is_default = fields.flag("isDefault").value_or(false);
  request.config = object_or_empty(fields, "config");
  request.secrets = secrets_or_none(fields);
  require_none_refused(refused);
  return request;
}

control::ChangeBackupRequest change_backup_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::ChangeBackupRequest request;
  request.pinned = fields.flag("pinned");
  request.label = fields.text("label");
  request.labels = label_changes(fields);
  // Here a null says something: no expiry of its own.
  if (body.contains("expiresAt")) request.expires_at = fields.time("expiresAt");
  require_none_refused(refused);
  return request;
}

control::TakeBackupRequest take_backup_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::TakeBackupRequest request;
  request.mechanism = model::backup_mechanism_from_text(fields.text("mechanism").value_or("physical"));
  request.destination_id = fields.text("destinationId");
  request.label = text_or_empty(fields, "label");
  request.labels = model::changed({}, label_changes(fields));
  request.expires_at = fields.time("expiresAt");
  request.temporary_days = fields.integer("temporaryDays");
  request.pinned = fields.flag("pinned").value_or(false);
  request.full = fields.flag("full").value_or(false);
  request.turn_backups_on = fields.flag("turnBackupsOn").value_or(false);
  require_none_refused(refused);
  return request;
}

control::UpdateDestinationRequest update_destination_request(const core::json::object& body) {
  Refused refused;
  Fields fields(body, "", refused);
  control::UpdateDestinationRequest request;
  request.name = fields.text("name");
  request.config = fields.object("config");
  request.secrets = fields.secrets("secrets");
  request.is_default = fields.flag("isDefault");
  require_none_refused(refused);
  return request;
}

}  // namespace backstay::api::house
