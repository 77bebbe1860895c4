#include "api/adapter/adapter_routes.h"

#include "api/fields.h"
#include "api/json_response.h"
#include "api/request_check.h"

namespace backstay::api::adapter {
namespace {

namespace json = core::json;
using control::ExternalProvider;
using control::ExternalServices;
using control::Principal;
using core::FieldError;
using http::Request;
using http::Response;

constexpr std::string_view kPrefix = "/api/adapter/";

ExternalProvider provider_of(const Request& request) {
  return {request.param("provider"), request.param("schemaVersion")};
}

/// An answer without a body.
Response done(int status) {
  Response response;
  response.status = status;
  return response;
}

json::object text_schema(std::string_view description) {
  return {{"type", "string"}, {"minLength", 1}, {"maxLength", 64}, {"description", description}};
}

json::object object_schema() { return {{"type", json::array{"object", "null"}}}; }

json::object secrets_schema() {
  return {{"type", json::array{"object", "null"}}, {"additionalProperties", {{"type", "string"}, {"writeOnly", true}}}};
}

json::object plan_schema() {
  return {{"type", json::array{"object", "null"}},
          {"required", json::array{"parameters"}},
          {"properties",
           {{"id", {{"type", json::array{"integer", "null"}}, {"minimum", 0}}}, {"parameters", {{"type", "object"}}}}}};
}

json::object team_schema() { return {{"type", "integer"}, {"minimum", 1}}; }

json::object creation_schema() {
  json::object recovery{{"type", json::array{"object", "null"}},
                        {"properties",
                         {{"id", {{"type", json::array{"string", "null"}}}},
                          {"msId", {{"type", json::array{"string", "null"}}}},
                          {"time", {{"type", json::array{"string", "null"}}}},
                          {"config", object_schema()},
                          {"secrets", secrets_schema()}}}};
  return {{"type", "object"},
          {"required", json::array{"id", "teamId", "plan"}},
          {"properties",
           {{"id", text_schema("the caller's id of the service")},
            {"teamId", team_schema()},
            {"plan", plan_schema()},
            {"config", object_schema()},
            {"secrets", secrets_schema()},
            {"version", text_schema("one of the provider's versions; refused where it has none")},
            {"recoverFrom", std::move(recovery)}}}};
}

json::object change_schema() {
  return {{"type", "object"},
          {"required", json::array{"id", "teamId"}},
          {"properties",
           {{"id", text_schema("equal to the id in the path")},
            {"teamId", team_schema()},
            {"plan", plan_schema()},
            {"config", object_schema()},
            {"secrets", secrets_schema()},
            {"version", text_schema("one of the provider's versions; refused where it has none")},
            {"pause", {{"type", json::array{"boolean", "null"}}}}}}};
}

json::object backup_schema() {
  return {{"type", "object"},
          {"required", json::array{"msId", "teamId"}},
          {"properties",
           {{"msId", text_schema("the caller's id of the service")},
            {"teamId", team_schema()},
            {"config", object_schema()},
            {"secrets", secrets_schema()},
            {"retentionDays",
             {{"type", json::array{"integer", "null"}},
              {"minimum", 1},
              {"description", "at most 365; without it 365, as the caller does not manage the retention"}}}}}};
}

/// Reads a body whose types were checked.
class Body {
 public:
  explicit Body(const Request& request) : Body(json_body(request), "") {}
  Body(json::object object, std::string pointer)
      : object_(std::move(object)), fields_(object_, std::move(pointer), refused_) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  Fields& fields() { return fields_; }
  json::object object(std::string_view key) { return fields_.object(key).value_or(json::object()); }
  model::Secrets secrets() { return fields_.secrets("secrets").value_or(model::Secrets()); }
  std::optional<control::ExternalPlan> plan() {
    const auto object = fields_.object("plan");
    if (!object) return std::nullopt;
    Body plan(*object, fields_.pointer_of("plan"));
    return control::ExternalPlan{plan.fields().integer("id"), plan.object("parameters")};
  }
  void finish() const { require_none_refused(refused_); }

 private:
  json::object object_;
  std::vector<FieldError> refused_;
  Fields fields_;
};

control::ExternalCreation creation_of(const Request& request) {
  Body body(request);
  control::ExternalCreation wanted;
  wanted.id = body.fields().text("id").value_or("");
  wanted.team_id = body.fields().integer("teamId").value_or(0);
  wanted.plan = body.plan().value_or(control::ExternalPlan());
  wanted.config = body.object("config");
  wanted.secrets = body.secrets();
  wanted.app_version = body.fields().text("version");
  if (const auto object = body.fields().object("recoverFrom")) {
    Body from(*object, "/recoverFrom");
    wanted.recover_from = control::ExternalRecovery{.backup_id = from.fields().text("id"),
                                                    .service_id = from.fields().text("msId"),
                                                    .time = from.fields().time("time"),
                                                    .config = from.object("config"),
                                                    .secrets = from.secrets()};
    from.finish();
  }
  body.finish();
  return wanted;
}

control::ExternalChange change_of(const Request& request) {
  Body body(request);
  if (body.fields().text("id") != request.param("id")) body.fields().refuse("id", "must equal the id in the path");
  control::ExternalChange wanted{.plan = body.plan(),
                                 .config = body.fields().object("config"),
                                 .secrets = body.fields().secrets("secrets"),
                                 .pause = body.fields().flag("pause"),
                                 .app_version = body.fields().text("version")};
  body.finish();
  return wanted;
}

control::ExternalBackupOrder backup_order_of(const Request& request) {
  Body body(request);
  control::ExternalBackupOrder order;
  order.id = request.param("backupId");
  order.service_id = body.fields().text("msId").value_or("");
  order.team_id = body.fields().integer("teamId").value_or(0);
  order.config = body.object("config");
  order.secrets = body.secrets();
  order.retention_days = body.fields().integer("retentionDays");
  body.finish();
  return order;
}

json::object rendered(const control::ExternalReport& report) {
  json::object parameters;
  for (const auto& [name, value] : report.parameters) parameters[name] = value;
  json::object object{{"plan", {{"parameters", std::move(parameters)}}},
                      {"config", report.config},
                      {"details", report.details},
                      {"pause", report.pause}};
  if (!report.error.empty()) object["error"] = report.error;
  return object;
}

Response poll(ExternalServices& services, const Request& request, const Principal& principal) {
  std::vector<std::string> ids;
  for (const auto& [name, value] : request.query) {
    if (name == "id") ids.push_back(value);
  }
  if (ids.empty()) {
    json::array known;
    for (const auto& id : services.list(provider_of(request), principal)) known.emplace_back(id);
    return json_response(known);
  }
  json::object reports;
  for (const auto& [id, report] : services.report(provider_of(request), ids, principal)) reports[id] = rendered(report);
  return json_response(reports);
}

/// Descriptions that differ in little.
Endpoint endpoint(std::string method, const std::string& path, std::string operation, std::string summary) {
  const auto parameter = [](std::string name) {
    return Parameter{.name = std::move(name), .description = "", .schema = {{"type", "string"}}};
  };
  return {
      .method = std::move(method),
      .path = "/adapter/{provider}/{schemaVersion}" + path,
      .operation = "adapter-" + std::move(operation),
      .tag = "Adapter",
      .summary = std::move(summary),
      .scope = Scope::kWrite,
      .path_parameters = {parameter("provider"), parameter("schemaVersion"), parameter("id"), parameter("backupId")},
      .refusal = {{"type", "object"},
                  {"required", json::array{"error"}},
                  {"properties", {{"error", {{"type", "string"}}}}}},
      .more_refusals = {{409, "the id belongs to something else, or the state does not allow it"},
                        {501, "the provider cannot do this"},
                        {502, "something that the backend needs does not answer"}}};
}

bool owns(std::string_view path) { return path.starts_with(kPrefix); }

std::optional<std::string> key_of(const Request& request) {
  const auto header = request.headers.find("Authorization");
  if (!header) return request.headers.find("X-API-Key");
  return header->find(' ') == std::string::npos ? header : std::nullopt;
}

Response refusal(const Request& /*request*/, const core::Error& error) {
  const int status = [&] {
    switch (const int catalogued = core::code_http_status(error.code()); catalogued) {
      case 403: return 401;
      case 405: return 404;
      case 503:
      case 504:
      case 507: return 502;
      default: return catalogued;
    }
  }();
  // What broke in here is nobody else's business; the log has it.
  std::string text = status == 500 ? "the backend failed; its operator finds the reason in its log" : error.message();
  if (status != 500) {
    for (const auto& field : error.fields()) text += "; " + field.pointer + " " + field.message;
  }
  return json_response(json::object{{"error", text}}, status);
}

}  // namespace

constexpr Dialect kDialect{.owns = owns, .credential = key_of, .refusal = refusal, .dress = nullptr};

void add_routes(RouteTable& routes, ExternalServices& services) {
  auto creation = endpoint("POST", "", "create", "Make a service; 201, also when it was asked for before");
  creation.description =
      "The adapter contract. The token may also be given as a bare Authorization or as X-API-Key; it must be of one "
      "team.";
  creation.body = creation_schema();
  creation.status = 201;
  routes.add(creation, [&services](const Request& request, const Principal& principal) {
    services.create(provider_of(request), creation_of(request), principal);
    return done(201);
  });

  auto polling = endpoint("GET", "", "poll", "The reports of the services that ?id= names, or all ids without it");
  polling.scope = Scope::kRead;
  polling.query = {{.name = "id", .description = "may be repeated", .schema = {{"type", "string"}}}};
  polling.answer = {{"type", json::array{"object", "array"}}, {"additionalProperties", true}};
  routes.add(polling, [&services](const Request& request, const Principal& principal) {
    return poll(services, request, principal);
  });

  auto change = endpoint("PATCH", "/{id}", "change", "Change the sections that are given; 204");
  change.body = change_schema();
  change.status = 204;
  routes.add(change, [&services](const Request& request, const Principal& principal) {
    services.change(provider_of(request), request.param("id"), change_of(request), principal);
    return done(204);
  });

  auto removal = endpoint("DELETE", "/{id}", "delete", "Delete a service and its data; 204");
  removal.scope = Scope::kDelete;
  removal.status = 204;
  routes.add(removal, [&services](const Request& request, const Principal& principal) {
    services.remove(provider_of(request), request.param("id"), principal);
    return done(204);
  });

  auto order =
      endpoint("PUT", "/backups/{backupId}", "backup", "Take a backup; 202, also when it was asked for before");
  order.body = backup_schema();
  order.status = 202;
  routes.add(order, [&services](const Request& request, const Principal& principal) {
    services.order_backup(provider_of(request), backup_order_of(request), principal);
    return done(202);
  });

  auto status = endpoint("POST", "/backups/{backupId}/status", "backupStatus", "Whether a backup is there, or failed");
  status.body = backup_schema();
  status.scope = Scope::kRead;
  status.answer = {{"type", "object"},
                   {"required", json::array{"exists"}},
                   {"properties", {{"exists", {{"type", "boolean"}}}, {"error", {{"type", "string"}}}}}};
  routes.add(status, [&services](const Request& request, const Principal& principal) {
    const auto asked = backup_order_of(request);
    const auto backup = services.backup(provider_of(request), asked.id, asked.service_id, principal);
    json::object answer{{"exists", backup.exists}};
    if (!backup.error.empty()) answer["error"] = backup.error;
    return json_response(answer);
  });

  auto backup_removal = endpoint("DELETE", "/backups/{backupId}", "deleteBackup",
                                 "Delete a backup; 202, also when it was asked for before");
  backup_removal.scope = Scope::kDelete;
  backup_removal.status = 202;
  routes.add(backup_removal, [&services](const Request& request, const Principal& principal) {
    services.remove_backup(provider_of(request), request.param("backupId"), principal);
    return done(202);
  });
}

}  // namespace backstay::api::adapter
