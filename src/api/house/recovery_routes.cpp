#include "api/house/bodies.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "control/operation_kind.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

/// The operation keeps what was promised when it was asked for.
json::object recovery_of(const model::Operation& operation, bool dry_run) {
  return {{"dryRun", dry_run},
          {"description", core::require_string(operation.request, "description")},
          {"forecast", core::require_object(operation.request, "forecast")}};
}

Response begun(const Context& context, const Request& request, const control::ServiceView& view,
               const model::Operation& operation) {
  json::object body = recovery_of(operation, false);
  body["service"] = service_resource(view, base_url(request, context.public_url));
  body["operationId"] = operation.id;
  return json_response(body);
}

/// A body without recoverFrom takes the rest from the service that is recovered.
control::ServiceChange recover(const Context& context, const json::object& body, const Principal& principal,
                               control::Effect effect) {
  if (body.contains("recoverFrom")) {
    return context.commands.create_service(create_service_request(body), principal, effect);
  }
  return context.commands.recover_service(recover_service_request(body), principal, effect);
}

Response create(const Context& context, const Request& request, const Principal& principal) {
  const bool dry_run = query_flag(request, "dryRun", false);
  const auto change =
      recover(context, json_body(request), principal, dry_run ? control::Effect::kDryRun : control::Effect::kLasting);
  if (dry_run) return json_response(recovery_of(*change.operation, true));
  // Whoever may recover a backup need not be one who reads services: what was just made is told all the same.
  const auto view = principal.may(model::kScopeServicesRead) ? context.queries.service(change.service.id, principal)
                                                             : control::ServiceView{change.service, {}, {}};
  return begun(context, request, view, *change.operation);
}

/// What a request made whose answer was lost.
Response created(const Context& context, const Request& request, const Principal& principal,
                 const std::string& service_id) {
  const auto operations = context.queries.operations({.service_id = service_id, .team_id = {}, .limit = 0}, principal);
  for (const auto& operation : operations) {
    if (operation.kind != control::kinds::kRecover) continue;
    return begun(context, request, context.queries.service(service_id, principal), operation);
  }
  throw core::Error(core::Code::kNotFound, fmt::format("there is no recovery of the service '{}'", service_id));
}

}  // namespace

void add_recovery_routes(RouteTable& routes, const Context& context) {
  routes.add(
      {.method = "POST",
       .path = "/recoveries",
       .operation = "recoveries-create",
       .tag = "Backups",
       .summary = "Make a service from a past state, or ask what that would take",
       .description = "The body is that of creating a managed service, with recoverFrom; or it names what is recovered "
                      "and into what, and the rest is as the service has it. A dry run meets every refusal that the "
                      "recovery would, and changes nothing.",
       .scope = Scope::kRecoverBackups,
       .query = {{.name = "dryRun",
                  .description = "only tell what would be done",
                  .schema = {{"type", "boolean"}, {"default", false}}}},
       .body = ref("CreateRecovery"),
       .answer = ref("Recovery")},
      [context](const Request& request, const Principal& principal) { return create(context, request, principal); },
      [context](const Request& request, const Principal& principal, const std::string& subject) {
        return created(context, request, principal, subject);
      });
}

}  // namespace backstay::api::house
