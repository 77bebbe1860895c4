#include <algorithm>

#include "api/lnchr/databases.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/resources.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

constexpr std::string_view kSchedule = "backup schedule";

const FieldNames& field_names() {
  static const FieldNames names{{"/serviceId", "/database_id"},          {"/destinationId", "/destination_id"},
                                {"/cron", "/cron_expression"},           {"/timeZone", "/timezone"},
                                {"/retentionCount", "/retention_count"}, {"/mechanism", "/type"}};
  return names;
}

/// Backups of databases and of volumes exclude each other in one schedule, and volumes are not there.
void require_database_schedule(Body& body) {
  const bool of_application = body.word("application_id").has_value();
  const bool of_database = body.word("database_id").has_value();
  if (of_application == of_database) {
    throw Error(Code::kInvalidArgument, "a schedule is for a database or for an application: exactly one of the two")
        .with_field("/database_id", of_database ? "excludes application_id" : "is required, or application_id");
  }
  if (of_application) {
    throw Error(Code::kNotSupported, "volumes of applications cannot be backed up: there are no applications here")
        .with_hint("make a schedule for a database: database_id");
  }
}

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    const auto databases = databases_of(context_, request, principal);
    const auto only = request.query_value("database_id");
    json::array found;
    for (const auto& view :
         context_.schedules.schedules("", tenant_of(context_.queries, request, principal), principal)) {
      const auto& id = view.schedule.service_id;
      if (only && *only != id) continue;
      if (std::ranges::find(databases, id, &model::Service::id) == databases.end()) continue;
      found.push_back(schedule_resource(view));
    }
    return success(found);
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    return success(schedule_resource(require(request, principal)));
  }

  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    Body body(request);
    require_database_schedule(body);
    const auto wanted = creation_of(body);
    body.finish();
    if (!find_database(context_, request, wanted.service_id, principal)) {
      throw Error(Code::kNotFound, "database not found").with_field("/database_id", "names no database of the tenant");
    }
    return in_own_words(field_names(),
                        [&] { return success(schedule_resource(context_.schedules.create(wanted, principal)), 201); });
  }

  [[nodiscard]] Response change(const Request& request, const Principal& principal) const {
    const auto before = require(request, principal);
    Body body(request);
    const auto wanted = change_of(body, before.schedule);
    body.finish();
    return in_own_words(field_names(), [&] {
      return success(schedule_resource(context_.schedules.update(before.schedule.id, wanted, principal)));
    });
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    context_.schedules.remove(require(request, principal).schedule.id, principal);
    Response gone;
    gone.status = 204;
    return gone;
  }

  [[nodiscard]] Response run(const Request& request, const Principal& principal) const {
    return success(backup_resource(context_.schedules.run(require(request, principal).schedule.id, principal)), 201);
  }

  [[nodiscard]] Response made(const Principal& principal, const std::string& id) const {
    return success(schedule_resource(context_.schedules.schedule(id, principal)), 201);
  }
  [[nodiscard]] Response made_backup(const Principal& principal, const std::string& id) const {
    return success(backup_resource(context_.queries.backup(id, principal)), 201);
  }

 private:
  static control::CreateScheduleRequest creation_of(Body& body) {
    control::CreateScheduleRequest wanted;
    wanted.service_id = core::to_lower(body->text("database_id").value_or(""));
    wanted.name = body.word("name").value_or("");
    wanted.destination_id = body.word("destination_id");
    wanted.cron = body->text("cron_expression");
    wanted.time_zone = body.word("timezone");
    wanted.retention_count = body->integer("retention_count");
    if (const auto type = body->text("type")) wanted.mechanism = model::backup_mechanism_from_text(*type);
    wanted.enabled = body->flag("enabled").value_or(true);
    wanted.turn_backups_on = true;
    return wanted;
  }

  /// A null takes the destination and the count away.
  static control::UpdateScheduleRequest change_of(Body& body, const model::BackupSchedule& before) {
    control::UpdateScheduleRequest wanted;
    if (const auto database = body.word("database_id"); database && core::to_lower(*database) != before.service_id) {
      body->refuse("database_id", "cannot be changed: make another schedule");
    }
    if (body.word("application_id")) body->refuse("application_id", "excludes database_id");
    wanted.name = body.word("name");
    if (body.has("destination_id")) wanted.destination_id = body.word("destination_id");
    wanted.cron = body->text("cron_expression");
    wanted.time_zone = body.word("timezone");
    if (body.has("retention_count")) wanted.retention_count = body->integer("retention_count");
    if (const auto type = body->text("type")) wanted.mechanism = model::backup_mechanism_from_text(*type);
    wanted.enabled = body->flag("enabled");
    return wanted;
  }

  [[nodiscard]] control::ScheduleView require(const Request& request, const Principal& principal) const {
    const auto team = tenant_of(context_.queries, request, principal);
    try {
      auto view = context_.schedules.schedule(path_id(request, kSchedule), principal);
      if (!team || view.schedule.team_id == *team) return view;
    } catch (const Error& error) {
      if (error.code() != Code::kNotFound) throw;
    }
    throw not_found(kSchedule);
  }

  Context context_;
};

}  // namespace

void add_schedule_routes(RouteTable& routes, const Context& context) {
  const Handlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, "backup schedules"),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  const std::string all = "/backup-schedules";
  const std::string one = all + "/{id}";
  add({.method = "GET",
       .path = all,
       .operation = "schedules-list",
       .summary = "List backup schedules",
       .scope = Scope::kReadBackups,
       .query = {project_parameter(),
                 {.name = "database_id", .description = "only of this database", .schema = uuid_schema()}},
       .data = array_of(schedule_schema())},
      &Handlers::list);
  add({.method = "POST",
       .path = all,
       .operation = "schedules-create",
       .summary = "Back a database up by a cron expression",
       .description = "Where backups of the database are off, this turns them on.",
       .scope = Scope::kWriteBackups,
       .body = create_schedule_schema(),
       .status = 201,
       .data = schedule_schema()},
      &Handlers::create, [handlers](const Request&, const Principal& principal, const std::string& id) {
        return handlers.made(principal, id);
      });
  add({.method = "GET",
       .path = one,
       .operation = "schedules-get",
       .summary = "One backup schedule",
       .scope = Scope::kReadBackups,
       .data = schedule_schema()},
      &Handlers::get);
  add({.method = "PUT",
       .path = one,
       .operation = "schedules-change",
       .summary = "Change what is given of a backup schedule",
       .scope = Scope::kWriteBackups,
       .body = change_schedule_schema(),
       .data = schedule_schema()},
      &Handlers::change);
  add({.method = "DELETE",
       .path = one,
       .operation = "schedules-delete",
       .summary = "Delete a backup schedule; its backups stay by its rule",
       .scope = Scope::kDeleteBackups,
       .status = 204},
      &Handlers::remove);
  add({.method = "POST",
       .path = one + "/run",
       .operation = "schedules-run",
       .summary = "Take a backup of the schedule now",
       .scope = Scope::kWriteBackups,
       .status = 201,
       .data = backup_schema()},
      &Handlers::run, [handlers](const Request&, const Principal& principal, const std::string& id) {
        return handlers.made_backup(principal, id);
      });
}

}  // namespace backstay::api::lnchr
