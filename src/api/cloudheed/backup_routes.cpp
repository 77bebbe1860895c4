#include "api/cloudheed/backups.h"
#include "api/cloudheed/call.h"
#include "api/cloudheed/databases.h"
#include "api/cloudheed/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kTag = "backups";
constexpr std::size_t kLongestBackupName = 200;

class BackupHandlers {
 public:
  explicit BackupHandlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    json::array backups;
    for (const auto& backup : context_.queries.backups(service.id, principal)) {
      if (backup.state == model::BackupState::kDeleting) continue;
      backups.emplace_back(backup_object(backup, service.backups.retention_days));
    }
    return json_response(json::object{{"backups", std::move(backups)}});
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    return json_response(backup_object(backup_of(request, service, principal), service.backups.retention_days));
  }

  /// The work on it begins as soon as there is a hand for it.
  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    control::TakeBackupRequest wanted{.pinned = true};
    Body body(request);
    wanted.label = body->text("name").value_or("");
    body.finish();
    const auto backup = in_own_words(database_fields(),
                                     [&] { return context_.commands.schedule_backup(service.id, principal, wanted); });
    auto object = backup_object(backup, service.backups.retention_days);
    object["status"] = "in_progress";
    return json_response(object, 202);
  }

  [[nodiscard]] Response created(const Request& request, const Principal& principal, const std::string& id) const {
    const auto service = database_of(request, principal);
    return json_response(backup_object(context_.queries.backup(id, principal), service.backups.retention_days), 202);
  }

  [[nodiscard]] Response restore(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    control::RecoverServiceRequest wanted;
    wanted.service_id = service.id;
    wanted.backup_id = backup_of(request, service, principal).id;
    wanted.longest_name = kLongestName;
    wanted.labels = {{std::string(kRegionLabel), Databases(context_, principal).region(service)}};
    Body body(request);
    wanted.name = body.word("target_database_name");
    body.finish();
    const auto made =
        in_own_words(database_fields(), [&] { return context_.commands.recover_service(wanted, principal).service; });
    return json_response(Databases(context_, principal).object(made), 202);
  }

  [[nodiscard]] Response restored(const Request& /*request*/, const Principal& principal, const std::string& id) const {
    const Databases databases(context_, principal);
    return json_response(databases.object(databases.require_for_backups(id)), 202);
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    const auto backup = backup_of(request, database_of(request, principal), principal);
    context_.commands.delete_backup(backup.id, principal, control::Effect::kLasting,
                                    {.pinned_too = true, .only_manual = true});
    Response response;
    response.status = 204;
    return response;
  }

 private:
  [[nodiscard]] model::Service database_of(const Request& request, const Principal& principal) const {
    return Databases(context_, principal).require_for_backups(path_id(request, "id", kDatabaseId));
  }

  [[nodiscard]] model::Backup backup_of(const Request& request, const model::Service& service,
                                        const Principal& principal) const {
    auto backup = context_.queries.backup(path_id(request, "backup_id", kBackupId), principal);
    if (backup.service_id == service.id && backup.state != model::BackupState::kDeleting) return backup;
    throw core::Error(core::Code::kNotFound, fmt::format("there is no backup '{}' of the database '{}'",
                                                         id_text(kBackupId, backup.id), service.name));
  }

  Context context_;
};

json::object name_body() {
  return object_schema({{"name",
                         {{"type", json::array{"string", "null"}},
                          {"maxLength", kLongestBackupName},
                          {"description", "any words to know it by"}}}},
                       {});
}

json::object restore_body() {
  auto name = name_schema();
  name["type"] = json::array{"string", "null"};
  name["description"] = "without it the database's name, 'restored' and the time";
  return object_schema({{"target_database_name", std::move(name)}}, {});
}

}  // namespace

void add_backup_routes(RouteTable& routes, const Context& context) {
  const BackupHandlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, kTag),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  const auto replayed = [&](auto member) {
    return [handlers, member](const Request& request, const Principal& principal, const std::string& id) {
      return (handlers.*member)(request, principal, id);
    };
  };
  add({.method = "GET",
       .path = "/databases/{id}/backups",
       .operation = "backups-list",
       .summary = "The backups of a database, the newest first",
       .scope = Scope::kReadBackups,
       .answer = object_schema({{"backups", array_of(backup_schema())}}, {"backups"})},
      &BackupHandlers::list);
  add({.method = "GET",
       .path = "/databases/{id}/backups/{backup_id}",
       .operation = "backups-get",
       .summary = "One backup",
       .scope = Scope::kReadBackups,
       .answer = backup_schema()},
      &BackupHandlers::get);
  add({.method = "POST",
       .path = "/databases/{id}/backups",
       .operation = "backups-create",
       .summary = "Take a manual backup: it does not expire, and counts toward the storage",
       .scope = Scope::kWriteBackups,
       .body = name_body(),
       .body_optional = true,
       .status = 202,
       .answer = backup_schema()},
      &BackupHandlers::create, replayed(&BackupHandlers::created));
  add({.method = "POST",
       .path = "/databases/{id}/backups/{backup_id}/restore",
       .operation = "backups-restore",
       .summary = "Restore a backup into a new database, which has the tier and the password of the one backed up",
       .scope = Scope::kRecoverBackups,
       .body = restore_body(),
       .body_optional = true,
       .status = 202,
       .answer = database_schema()},
      &BackupHandlers::restore, replayed(&BackupHandlers::restored));
  add({.method = "DELETE",
       .path = "/databases/{id}/backups/{backup_id}",
       .operation = "backups-delete",
       .summary = "Delete a manual backup; automatic ones are managed by the system",
       .scope = Scope::kDeleteBackups,
       .status = 204},
      &BackupHandlers::remove);
}

}  // namespace backstay::api::cloudheed
