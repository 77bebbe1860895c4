// Seeing on demand that a backup works.
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {

using control::Principal;
using http::Request;

void add_verification_routes(RouteTable& routes, const Context& context) {
  routes.add(
      {.method = "POST",
       .path = "/backups/{id}/verify",
       .operation = "backups-verify",
       .tag = "Backups",
       .summary = "Restore a backup to see that it works",
       .description = "To a place of its own, beside the services and with less right to the machine than any "
                      "of them; what was restored is looked at and removed. The backup says what was found "
                      "(verifiedAt, verification). One at a time; an open one of the backup is answered.",
       .scope = Scope::kWriteBackups,
       .previewed = true,
       .answer = ref("Operation"),
       .more_refusals = {{409,
                          "it is not confirmed yet, or its service is deleted, switched over, or has another one open"},
                         {501, "it cannot be verified here; the answer says why"}}},
      [context](const Request& request, const Principal& principal) {
        const auto id = path_uuid(request, "backup");
        if (query_effect(request) == control::Effect::kDryRun) {
          return json_response(preview_resource(context.verifications.preview(id, principal)));
        }
        return json_response(operation_resource(context.verifications.verify(id, principal)));
      },
      [context](const Request& /*request*/, const Principal& principal, const std::string& id) {
        return json_response(operation_resource(context.queries.operation(id, principal)));
      });
}

}  // namespace backstay::api::house
