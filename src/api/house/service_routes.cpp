#include <functional>
#include <utility>
#include <vector>

#include "api/entity_tags.h"
#include "api/house/bodies.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "control/operation_queue.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kService = "managed service";

class ServiceHandlers {
 public:
  explicit ServiceHandlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    return changed(context_.commands.create_service(create_service_request(json_body(request)), principal), request,
                   principal);
  }

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    const Page page(context_.queries, request);
    const control::ServiceFilter filter{.team_id = query_team(request),
                                        .include_deleted = query_flag(request, "includeDeleted", false),
                                        .after_id = page.after(),
                                        .limit = page.fetch()};
    return page.answer(
        context_.queries.services(filter, principal), [&](const auto& view) { return resource(view, request); },
        [](const auto& view) { return view.service.id; });
  }

  /// The details at the top level, and the resource's fields where they do not collide: clients expect either.
  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    const std::string id = path_uuid(request, kService);
    const auto view = context_.queries.service(id, principal);
    json::object body = view.service.status.details;
    for (auto& field : resource(view, request)) body.insert(field);
    put_running_operation(body, id, principal);
    return of_generation(view.service, body);
  }

  [[nodiscard]] Response details(const Request& request, const Principal& principal) const {
    return json_response(context_.queries.details(path_uuid(request, kService), principal));
  }

  [[nodiscard]] Response update(const Request& request, const Principal& principal) const {
    const std::string id = path_uuid(request, kService);
    const auto wanted = update_service_request(json_body(request));
    if (query_effect(request) == control::Effect::kDryRun) {
      return json_response(preview_resource(context_.commands.preview_update(id, wanted, principal)));
    }
    return changed(context_.commands.update_service(id, wanted, principal), request, principal);
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    const std::string id = path_uuid(request, kService);
    const auto wish = query_final_backup(request);
    if (query_effect(request) == control::Effect::kDryRun) {
      return json_response(preview_resource(context_.commands.preview_deletion(id, wish, principal)));
    }
    return changed(context_.commands.delete_service(id, wish, principal), request, principal);
  }

  [[nodiscard]] Response undelete(const Request& request, const Principal& principal) const {
    return changed(context_.commands.undelete_service(path_uuid(request, kService), principal), request, principal);
  }

  [[nodiscard]] Response restart(const Request& request, const Principal& principal) const {
    return changed(context_.commands.restart_service(path_uuid(request, kService), principal), request, principal);
  }

  [[nodiscard]] Response schedule_backup(const Request& request, const Principal& principal) const {
    control::TakeBackupRequest wanted;
    if (!request.body.empty()) wanted = take_backup_request(json_body(request));
    return json_response(
        backup_entry(context_.commands.schedule_backup(path_uuid(request, kService), principal, wanted)));
  }

  /// What a request made whose answer was lost.
  [[nodiscard]] Response created(const Request& request, const Principal& principal, const std::string& id) const {
    const auto view = context_.queries.service(id, principal);
    json::object body = resource(view, request);
    put_running_operation(body, id, principal);
    return of_generation(view.service, body);
  }

  [[nodiscard]] Response scheduled_backup(const Request& /*request*/, const Principal& principal,
                                          const std::string& id) const {
    return json_response(backup_entry(context_.queries.backup(id, principal)));
  }

 private:
  static Response of_generation(const model::Service& service, const json::object& body) {
    auto response = json_response(body);
    response.headers.set("ETag", generation_tag(service.generation, response.body));
    return response;
  }

  [[nodiscard]] json::object resource(const control::ServiceView& view, const Request& request) const {
    return service_resource(view, base_url(request, context_.public_url));
  }

  /// The service as the change left it, which may be gone already when it is read again.
  [[nodiscard]] Response changed(const control::ServiceChange& change, const Request& request,
                                 const Principal& principal) const {
    control::ServiceView view{.service = change.service, .recent_events = {}, .backups = {}};
    try {
      view = context_.queries.service(change.service.id, principal);
    } catch (const core::Error& error) {
      if (error.code() != core::Code::kNotFound) throw;
    }
    json::object body = resource(view, request);
    if (change.operation) body["operationId"] = change.operation->id;
    return of_generation(view.service, body);
  }

  void put_running_operation(json::object& body, const std::string& id, const Principal& principal) const {
    const control::OperationFilter newest{.service_id = id, .team_id = std::nullopt, .limit = 3};
    auto operations = context_.queries.operations(newest, principal);
    // Works on its backups, beside everything else.
    std::erase_if(operations, [](const auto& it) { return it.kind == control::kinds::kRetention; });
    if (!operations.empty() && !model::is_terminal(operations[0].state)) body["operationId"] = operations[0].id;
  }

  Context context_;
};

/// What the contract does not have.
void add_own_routes(RouteTable& routes, const ServiceHandlers& handlers) {
  routes.add(
      {.method = "POST",
       .path = "/managed-services/{id}/undelete",
       .operation = "managed-services-undelete",
       .tag = "Managed services",
       .summary = "Bring a deleted service back",
       .description = "As long as its record is kept: with its id and name, up to its last write.",
       .scope = Scope::kRecoverInPlace,
       .answer = ref("ManagedService")},
      [handlers](const Request& request, const Principal& principal) { return handlers.undelete(request, principal); },
      std::bind_front(&ServiceHandlers::created, handlers));
  routes.add(
      {.method = "POST",
       .path = "/managed-services/{id}/restart",
       .operation = "managed-services-restart",
       .tag = "Managed services",
       .summary = "Restart the server of a managed service",
       .description = "After a checkpoint; its connections are cut, and it is away for a second or two.",
       .scope = Scope::kWriteServices,
       .answer = ref("ManagedService")},
      [handlers](const Request& request, const Principal& principal) { return handlers.restart(request, principal); },
      std::bind_front(&ServiceHandlers::created, handlers));
}

}  // namespace

void add_service_routes(RouteTable& routes, const Context& context) {
  const ServiceHandlers handlers(context);
  const auto add = [&](Endpoint endpoint, auto member, const ReplayHandler& replay = {}) {
    endpoint.tag = "Managed services";
    endpoint.base = Base::kContract;
    routes.add(
        endpoint,
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  add({.method = "POST",
       .path = "/managed-services",
       .operation = "managed-services-create",
       .summary = "Create a managed service, also from a past state",
       .scope = Scope::kWriteServices,
       .body = ref("CreateManagedService"),
       .answer = ref("ManagedService")},
      &ServiceHandlers::create, std::bind_front(&ServiceHandlers::created, handlers));
  auto list_query = team_parameters();
  list_query.push_back({.name = "includeDeleted",
                        .description = "whether services whose deletion was asked for are listed too",
                        .schema = {{"type", "boolean"}, {"default", false}}});
  add({.method = "GET",
       .path = "/managed-services",
       .operation = "managed-services-list",
       .summary = "List managed services",
       .scope = Scope::kReadServices,
       .query = list_query,
       .paged = true,
       .answer = array_of(ref("ManagedService"))},
      &ServiceHandlers::list);
  add({.method = "GET",
       .path = "/managed-services/{id}",
       .operation = "managed-services-getDetails",
       .summary = "Details of one managed service, and its resource",
       .scope = Scope::kReadServices,
       .tagged = true,
       .answer = ref("ManagedServiceDetails")},
      &ServiceHandlers::get);
  add({.method = "GET",
       .path = "/managed-services/{id}/details",
       .operation = "managed-services-getDetailsOnly",
       .summary = "What the provider tells of the running service",
       .scope = Scope::kReadServices,
       .tagged = true,
       .answer = ref("Details")},
      &ServiceHandlers::details);
  add({.method = "PATCH",
       .path = "/managed-services/{id}",
       .operation = "managed-services-update",
       .summary = "Change a managed service",
       .scope = Scope::kWriteServices,
       .previewed = true,
       .conditional = true,
       .body = ref("UpdateManagedService"),
       .answer = ref("ManagedService")},
      &ServiceHandlers::update);
  add({.method = "DELETE",
       .path = "/managed-services/{id}",
       .operation = "managed-services-delete",
       .summary = "Delete a managed service",
       .description = "With backups on, a final backup is taken and confirmed before the data goes.",
       .scope = Scope::kDeleteServices,
       .query =
           {{.name = "finalBackup",
             .description = "whether the data may go without a confirmed final backup",
             .schema = {{"type", "string"}, {"enum", {"required", "best-effort", "skip"}}, {"default", "required"}}}},
       .previewed = true,
       .conditional = true,
       .answer = ref("ManagedService")},
      &ServiceHandlers::remove);
  add({.method = "POST",
       .path = "/managed-services/{id}/backups",
       .operation = "managed-services-scheduleBackup",
       .summary = "Take a backup now",
       .description =
           "A physical one, unless the body says 'logical': a dump by pg_dump, which any later major version "
           "takes and which can be had as SQL. Sent to another destination than the service's own it carries its "
           "WAL from start to stop and stands alone.",
       .scope = Scope::kWriteBackups,
       .body = ref("TakeBackup"),
       .body_optional = true,
       .answer = ref("BackupEntry")},
      &ServiceHandlers::schedule_backup, std::bind_front(&ServiceHandlers::scheduled_backup, handlers));
  add_own_routes(routes, handlers);
}

}  // namespace backstay::api::house
