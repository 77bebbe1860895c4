// Dumps taken into running services.
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/import_request.h"
#include "api/json_response.h"

namespace backstay::api::house {

using control::Principal;
using http::Request;

void add_import_routes(RouteTable& routes, const Context& context) {
  routes.add({.method = "POST",
              .path = "/managed-services/{id}/imports",
              .operation = "imports-create",
              .tag = "Backups",
              .summary = "Take a dump into a running service",
              .description = "The dump is the body itself, of any type but JSON; or the file of multipart/form-data; "
                             "or where JSON says. Plain SQL, and what pg_dump makes as custom, tar or directory, also "
                             "under gzip or zstd. It is loaded as the service's own role in one transaction: a failure "
                             "leaves nothing behind.",
              .scope = Scope::kWriteServices,
              .query = {{.name = "format",
                         .description = "of an upload: refused unless the content is of this form",
                         .schema = {{"type", "string"}, {"enum", {"plain", "custom", "tar", "directory"}}}}},
              .body = ref("Import"),
              .uploads = true,
              .status = 202,
              .answer = ref("Operation"),
              .more_refusals = {{413, "the dump is larger than the operator allows"},
                                {501, "no dump can be imported here; the answer says why"}}},
             [&imports = context.imports](const Request& request, const Principal& principal) {
               const auto id = path_uuid(request, "managed service");
               return json_response(operation_resource(imports.take(request, id, principal, import_request_from_json)),
                                    202);
             });
}

}  // namespace backstay::api::house
