// Changing and deleting single backups.
#include "api/entity_tags.h"
#include "api/house/bodies.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;

control::Precondition<model::Backup> as_seen(const Request& request) {
  return [&request](const model::Backup& backup) {
    require_match(request, body_tag(core::to_text(backup_resource(backup))), "backup");
  };
}

}  // namespace

void add_backup_change_routes(RouteTable& routes, const Context& context) {
  routes.add(
      {.method = "PATCH",
       .path = "/backups/{id}",
       .operation = "backups-update",
       .tag = "Backups",
       .summary = "Pin a backup, give it an expiry or a label",
       .scope = Scope::kWriteBackups,
       .conditional = true,
       .body = ref("ChangeBackup"),
       .answer = ref("Backup"),
       .more_refusals = {{409, "it is being deleted, or lost with its store"}}},
      [context](const Request& request, const Principal& principal) {
        const auto id = path_uuid(request, "backup");
        const auto wanted = change_backup_request(json_body(request));
        return json_response(backup_resource(context.commands.change_backup(id, wanted, principal, as_seen(request))));
      });
  routes.add({.method = "DELETE",
              .path = "/backups/{id}",
              .operation = "backups-delete",
              .tag = "Backups",
              .summary = "Delete a backup: hidden in its store soon, removed a grace later",
              .scope = Scope::kDeleteBackups,
              .previewed = true,
              .conditional = true,
              .answer = ref("Backup"),
              .more_refusals = {{409, "it must stay; the answer says why"}, {501, "it is a published provider's"}}},
             [context](const Request& request, const Principal& principal) {
               const auto id = path_uuid(request, "backup");
               const auto effect = query_effect(request);
               const auto backup = context.commands.delete_backup(id, principal, effect, {}, as_seen(request));
               if (effect == control::Effect::kLasting) return json_response(backup_resource(backup));
               return json_response(preview_resource(
                   {.effects = {"the backup is hidden in its store, cannot be recovered any more, and is removed a "
                                "grace later; other backups and the WAL stay as the retention has them"}}));
             });
}

}  // namespace backstay::api::house
