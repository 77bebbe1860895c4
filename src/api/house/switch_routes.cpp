// Switching a service over, and the instances that it has and had.
#include "api/house/bodies.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "model/instance.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kService = "managed service";

control::SwitchRequest wanted(const Request& request) {
  return request.body.empty() ? control::SwitchRequest{} : switch_request(json_body(request));
}

Response begun(const Context& context, const Request& request, const control::ServiceView& view,
               const std::optional<std::string>& operation_id) {
  json::object body = service_resource(view, base_url(request, context.public_url));
  if (operation_id) body["operationId"] = *operation_id;
  return json_response(body);
}

Response switch_over(const Context& context, const Request& request, const Principal& principal) {
  const auto id = path_uuid(request, kService);
  if (query_effect(request) == control::Effect::kDryRun) {
    return json_response(preview_resource(context.commands.preview_switch(id, wanted(request), principal)));
  }
  const auto change = context.commands.switch_service(id, wanted(request), principal);
  return begun(context, request, {change.service, {}, {}}, change.operation->id);
}

/// What a request began whose answer was lost.
Response switched(const Context& context, const Request& request, const Principal& principal, const std::string& id) {
  const auto operations = context.queries.operations({.service_id = id, .team_id = {}, .limit = 0}, principal);
  for (const auto& operation : operations) {
    if (operation.kind != control::kinds::kSwitch) continue;
    return begun(context, request, context.queries.service(id, principal), operation.id);
  }
  return begun(context, request, context.queries.service(id, principal), std::nullopt);
}

json::object span(core::Timestamp from, const std::optional<core::Timestamp>& until) {
  json::object object{{"from", core::format_time(from)}};
  if (until) object["until"] = core::format_time(*until);
  return object;
}

json::object resource(const model::Instance& instance) {
  json::array served;
  for (const auto& before : instance.served_before) served.push_back(span(before.from, before.until));
  if (instance.served_from) served.push_back(span(*instance.served_from, instance.served_until));
  json::object object{{"id", instance.id},
                      {"state", model::to_text(instance.state)},
                      {"createdAt", core::format_time(instance.created_at)},
                      {"served", std::move(served)}};
  if (instance.kept_until) {
    object["keptUntil"] = core::format_time(*instance.kept_until);
    object["unsent"] = instance.unsent;
  }
  return object;
}

Response list(const Context& context, const Request& request, const Principal& principal) {
  json::array instances;
  for (const auto& instance : context.queries.instances(path_uuid(request, kService), principal)) {
    instances.push_back(resource(instance));
  }
  return json_response(instances);
}

}  // namespace

void add_switch_routes(RouteTable& routes, const Context& context) {
  routes.add(
      {.method = "POST",
       .path = "/managed-services/{id}/switch",
       .operation = "managed-services-switch",
       .tag = "Managed services",
       .summary = "Let a service go on with the data of a candidate, or of an instance that it had before",
       .description = "Its id, name, port, users and passwords stay. Without a body the newest candidate that is ready "
                      "takes the place. What the service held before is kept for a while, to be switched back to.",
       .scope = Scope::kRecoverInPlace,
       .previewed = true,
       .conditional = true,
       .body = ref("Switch"),
       .body_optional = true,
       .answer = ref("ManagedService")},
      [context](const Request& request, const Principal& principal) {
        return switch_over(context, request, principal);
      },
      [context](const Request& request, const Principal& principal, const std::string& subject) {
        return switched(context, request, principal, subject);
      });
  routes.add(
      {.method = "GET",
       .path = "/managed-services/{id}/instances",
       .operation = "managed-services-listInstances",
       .tag = "Managed services",
       .summary = "The bodies of data that a service has and had, the one that serves first",
       .answer = array_of(ref("Instance"))},
      [context](const Request& request, const Principal& principal) { return list(context, request, principal); });
}

}  // namespace backstay::api::house
