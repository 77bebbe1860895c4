#include "api/lnchr/databases.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/resources.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"
#include "core/error.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using control::RecoverInto;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

constexpr std::string_view kBackup = "backup";

/// What is restored belongs where its original does.
model::Labels places_of(const model::Service& service) {
  model::Labels labels;
  for (const auto& label : {kProjectLabel, kEnvironmentLabel, kServerLabel}) {
    const auto found = service.labels.find(std::string(label));
    if (found != service.labels.end()) labels.insert(*found);
  }
  return labels;
}

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response window(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    return success(
        window_resource(service.id, model::union_of(context_.queries.recovery_windows(service.id, principal))));
  }

  [[nodiscard]] Response restore(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    Body body(request);
    control::RecoverServiceRequest wanted{
        .service_id = service.id, .backup_id = body.word("backup_id"), .into = RecoverInto::kCandidate};
    wanted.labels = places_of(service);
    body.finish();
    return recovered(wanted, principal);
  }

  [[nodiscard]] Response pitr(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    Body body(request);
    control::RecoverServiceRequest wanted{.service_id = service.id, .into = RecoverInto::kCandidate};
    wanted.labels = places_of(service);
    wanted.time = body->time("target_time");
    body.finish();
    return recovered(wanted, principal);
  }

  [[nodiscard]] Response clone(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    Body body(request);
    control::RecoverServiceRequest wanted{.service_id = service.id, .into = RecoverInto::kNew};
    wanted.labels = places_of(service);
    wanted.time = body->time("target_time");
    wanted.name = body->text("new_name");
    body.finish();
    return recovered(wanted, principal);
  }

  /// A backup outlives its database; then there is nothing whose place the restored one could take.
  [[nodiscard]] Response restore_backup(const Request& request, const Principal& principal) const {
    const auto backup = require_backup(request, principal);
    Body body(request);
    control::RecoverServiceRequest wanted{.backup_id = backup.id};
    wanted.name = body.word("new_name");
    body.finish();
    const auto original = find_database(context_, request, backup.service_id, principal);
    wanted.into = original ? RecoverInto::kCandidate : RecoverInto::kNew;
    if (original) wanted.labels = places_of(*original);
    return recovered(wanted, principal);
  }

  [[nodiscard]] Response switch_over(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    Body body(request);
    const control::SwitchRequest wanted{.candidate_id = body.word("restored_database_id"),
                                        .back = body->flag("rollback").value_or(false)};
    body.finish();
    return in_own_words(database_fields(), [&] {
      return success(database_resource(context_.commands.switch_service(service.id, wanted, principal).service));
    });
  }

  [[nodiscard]] Response again(const Principal& principal, const std::string& id, int status) const {
    return success(database_resource(context_.queries.service(id, principal).service), status);
  }

 private:
  [[nodiscard]] Response recovered(const control::RecoverServiceRequest& wanted, const Principal& principal) const {
    return in_own_words(database_fields(), [&] {
      return success(database_resource(context_.commands.recover_service(wanted, principal).service), 201);
    });
  }

  [[nodiscard]] model::Backup require_backup(const Request& request, const Principal& principal) const {
    const auto team = tenant_of(context_.queries, request, principal);
    try {
      auto backup = context_.queries.backup(path_id(request, kBackup), principal);
      if (!team || backup.team_id == *team) return backup;
    } catch (const Error& error) {
      if (error.code() != Code::kNotFound) throw;
    }
    throw not_found(kBackup);
  }

  Context context_;
};

Call making(const std::string& path, const std::string& operation, const std::string& summary, json::object body) {
  return {.method = "POST",
          .path = path,
          .operation = operation,
          .summary = summary,
          .scope = Scope::kRecoverBackups,
          .body = std::move(body),
          .status = 201,
          .data = database_schema()};
}

}  // namespace

void add_recovery_routes(RouteTable& routes, const Context& context) {
  const Handlers handlers(context);
  const auto add = [&](const Call& call, auto member) {
    ReplayHandler replay;
    if (call.method == "POST") {
      replay = [handlers, status = call.status](const Request&, const Principal& principal, const std::string& id) {
        return handlers.again(principal, id, status);
      };
    }
    routes.add(
        described(call, "recovery"),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  add({.method = "GET",
       .path = "/databases/{id}/recovery-window",
       .operation = "databases-recoveryWindow",
       .summary = "Which times can be reached",
       .scope = Scope::kReadBackups,
       .data = window_schema()},
      &Handlers::window);
  add(making("/databases/{id}/restore", "databases-restore", "Restore a backup beside the database, ready to switch to",
             restore_schema()),
      &Handlers::restore);
  add(making("/databases/{id}/pitr", "databases-pitr", "Restore a time beside the database, ready to switch to",
             pitr_schema()),
      &Handlers::pitr);
  add(making("/databases/{id}/pitr-clone", "databases-pitrClone", "Restore a time as a database of its own",
             pitr_clone_schema()),
      &Handlers::clone);
  auto by_backup = making("/backups/database/{id}/restore", "backups-restore",
                          "Restore a backup beside its database, or alone if that is gone", restore_into_schema());
  by_backup.body_optional = true;
  add(by_backup, &Handlers::restore_backup);
  add({.method = "POST",
       .path = "/databases/{id}/switch",
       .operation = "databases-switch",
       .summary = "Let the database go on with the data of a restored one, or go back",
       .description = "It keeps its id, name, address and password. Without a body: the newest restored one.",
       .scope = Scope::kRecoverInPlace,
       .body = switch_schema(),
       .body_optional = true,
       .data = database_schema()},
      &Handlers::switch_over);
}

}  // namespace backstay::api::lnchr
