#include "api/lnchr/databases.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/resources.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kBackup = "backup";

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    json::array found;
    for (const auto& backup : context_.queries.backups(service.id, principal)) {
      found.push_back(backup_resource(backup));
    }
    return success(found);
  }

  [[nodiscard]] Response take(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    Body body(request);
    control::TakeBackupRequest wanted;
    wanted.destination_id = body.word("destination_id");
    wanted.mechanism = model::backup_mechanism_from_text(body->text("type").value_or("physical"));
    wanted.turn_backups_on = true;
    body.finish();
    return in_own_words(database_fields(), [&] {
      return success(backup_resource(context_.commands.schedule_backup(service.id, principal, wanted)), 201);
    });
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    return success(backup_resource(require_backup(request, principal)));
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    // The platform knows no pins: what other dialects keep until it is deleted is deleted here too.
    context_.commands.delete_backup(require_backup(request, principal).id, principal, control::Effect::kLasting,
                                    {.pinned_too = true});
    Response gone;
    gone.status = 204;
    return gone;
  }

  [[nodiscard]] Response made(const Principal& principal, const std::string& id) const {
    return success(backup_resource(context_.queries.backup(id, principal)), 201);
  }

 private:
  [[nodiscard]] model::Backup require_backup(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    const auto id = path_id(request, kBackup, "backupId");
    for (auto& backup : context_.queries.backups(service.id, principal)) {
      if (backup.id == id) return std::move(backup);
    }
    throw not_found(kBackup);
  }

  Context context_;
};

}  // namespace

void add_backup_routes(RouteTable& routes, const Context& context) {
  const Handlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, "database backups"),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  const std::string all = "/databases/{id}/backups";
  const std::string one = all + "/{backupId}";
  add({.method = "GET",
       .path = all,
       .operation = "backups-list",
       .summary = "List the backups of a database, the newest first",
       .scope = Scope::kReadBackups,
       .data = array_of(backup_schema())},
      &Handlers::list);
  add({.method = "POST",
       .path = all,
       .operation = "backups-create",
       .summary = "Take a backup now",
       .description = "Where backups of the database are off, this turns them on, to the destination that is named or "
                      "the default one.",
       .scope = Scope::kWriteBackups,
       .body = take_backup_schema(),
       .body_optional = true,
       .status = 201,
       .data = backup_schema()},
      &Handlers::take, [handlers](const Request&, const Principal& principal, const std::string& id) {
        return handlers.made(principal, id);
      });
  add({.method = "GET",
       .path = one,
       .operation = "backups-get",
       .summary = "One backup",
       .scope = Scope::kReadBackups,
       .data = backup_schema()},
      &Handlers::get);
  add({.method = "DELETE",
       .path = one,
       .operation = "backups-delete",
       .summary = "Delete a backup",
       .scope = Scope::kDeleteBackups,
       .status = 204},
      &Handlers::remove);
}

}  // namespace backstay::api::lnchr
