#include "api/entity_tags.h"
#include "api/fields.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "api/request_check.h"
#include "core/error.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

json::object schedule_resource(const control::ScheduleView& view) {
  const auto& schedule = view.schedule;
  json::object object{{"id", schedule.id},
                      {"teamId", schedule.team_id},
                      {"serviceId", schedule.service_id},
                      {"name", schedule.name},
                      {"mechanism", model::to_text(schedule.mechanism)},
                      {"enabled", schedule.enabled},
                      {"createdAt", core::format_time(schedule.created_at)},
                      {"updatedAt", core::format_time(schedule.updated_at)}};
  if (!schedule.destination_id.empty()) object["destinationId"] = schedule.destination_id;
  if (schedule.cron.empty()) {
    object["intervalH"] = schedule.interval_h;
  } else {
    object["cron"] = schedule.cron;
    object["timeZone"] = schedule.time_zone;
  }
  if (schedule.keep.count > 0) object["retentionCount"] = schedule.keep.count;
  if (schedule.keep.days > 0) object["retentionDays"] = schedule.keep.days;
  if (!view.waits_for.empty()) object["waitsFor"] = view.waits_for;
  if (schedule.last_run_at) {
    object["lastRun"] = {{"time", core::format_time(*schedule.last_run_at)},
                         {"backupId", schedule.last_backup_id},
                         {"outcome", model::to_text(schedule.last_outcome)}};
  }
  auto& runs = object["nextRuns"].emplace_array();
  for (const auto time : view.next_runs) runs.emplace_back(core::format_time(time));
  return object;
}

Response schedule_answer(const control::ScheduleView& view) {
  auto response = json_response(schedule_resource(view));
  response.headers.set("ETag", generation_tag(view.schedule.generation, response.body));
  return response;
}

std::optional<model::BackupMechanism> mechanism_of(Fields& fields) {
  const auto text = fields.text("mechanism");
  return text ? std::optional(model::backup_mechanism_from_text(*text)) : std::nullopt;
}

control::CreateScheduleRequest create_request(const json::object& body) {
  std::vector<core::FieldError> refused;
  Fields fields(body, "", refused);
  control::CreateScheduleRequest request;
  request.service_id = fields.text("serviceId").value_or("");
  request.name = fields.text("name").value_or("");
  request.destination_id = fields.text("destinationId");
  request.cron = fields.text("cron");
  request.time_zone = fields.text("timeZone");
  request.interval_hours = fields.integer("intervalH");
  request.retention_count = fields.integer("retentionCount");
  request.retention_days = fields.integer("retentionDays");
  request.mechanism = mechanism_of(fields).value_or(request.mechanism);
  request.enabled = fields.flag("enabled").value_or(true);
  request.turn_backups_on = fields.flag("turnBackupsOn").value_or(false);
  require_none_refused(refused);
  return request;
}

control::UpdateScheduleRequest update_request(const json::object& body) {
  std::vector<core::FieldError> refused;
  Fields fields(body, "", refused);
  control::UpdateScheduleRequest request;
  request.name = fields.text("name");
  // In these a null says something: no longer.
  if (body.contains("destinationId")) request.destination_id = fields.text("destinationId");
  if (body.contains("retentionCount")) request.retention_count = fields.integer("retentionCount");
  if (body.contains("retentionDays")) request.retention_days = fields.integer("retentionDays");
  request.cron = fields.text("cron");
  request.time_zone = fields.text("timeZone");
  request.interval_hours = fields.integer("intervalH");
  request.mechanism = mechanism_of(fields);
  request.enabled = fields.flag("enabled");
  require_none_refused(refused);
  return request;
}

Endpoint endpoint(std::string method, std::string path, std::string operation, std::string summary, Scope scope) {
  return {.method = std::move(method),
          .path = std::move(path),
          .operation = std::move(operation),
          .tag = "Schedules",
          .summary = std::move(summary),
          .scope = scope,
          .answer = ref("Schedule")};
}

std::string schedule_in_path(const Request& request) { return path_uuid(request, "schedule"); }

void add_making(RouteTable& routes, const Context& context) {
  auto create = endpoint("POST", "/schedules", "schedules-create", "Take backups by a schedule", Scope::kWriteBackups);
  create.description =
      "Beside the service's own interval. Where clocks are put forward, a run in the skipped time comes once right "
      "after it; where they are put back, a run in the repeated time comes once. An expression that runs every hour "
      "runs every real hour.";
  create.body = ref("CreateSchedule");
  create.more_refusals = {{404, "the service does not exist for this token"},
                          {409, "backups of the service are off, it is being deleted, or has too many schedules"},
                          {501, "no backups of that kind can be taken of the service"}};
  routes.add(
      create,
      [context](const Request& request, const Principal& principal) {
        return schedule_answer(context.schedules.create(create_request(json_body(request)), principal));
      },
      [context](const Request& /*request*/, const Principal& principal, const std::string& id) {
        return schedule_answer(context.schedules.schedule(id, principal));
      });

  auto run = endpoint("POST", "/schedules/{id}/run", "schedules-run", "Run a schedule now", Scope::kWriteBackups);
  run.description = "The backup is kept as the others of the schedule are; its next run comes as if there were none.";
  run.answer = ref("Backup");
  run.more_refusals = {{409, "backups of the service are off, it is paused or being deleted"},
                       {501, "no backups of that kind can be taken of the service"}};
  routes.add(
      run,
      [context](const Request& request, const Principal& principal) {
        return json_response(backup_resource(context.schedules.run(schedule_in_path(request), principal)));
      },
      [context](const Request& /*request*/, const Principal& principal, const std::string& id) {
        return json_response(backup_resource(context.queries.backup(id, principal)));
      });
}

void add_reading(RouteTable& routes, const Context& context) {
  auto list = endpoint("GET", "/schedules", "schedules-list", "List schedules, the oldest first", Scope::kReadBackups);
  list.query = service_parameters();
  for (auto& parameter : team_parameters()) list.query.push_back(std::move(parameter));
  list.paged = true;
  list.answer = array_of(ref("Schedule"));
  list.more_refusals = {{404, "the service does not exist for this token"}};
  routes.add(list, [context](const Request& request, const Principal& principal) {
    const auto found = context.schedules.schedules(query_service(request).value_or(""), query_team(request), principal);
    return Page(context.queries, request).answer_from(found, schedule_resource, [](const auto& view) {
      return view.schedule.id;
    });
  });

  auto get = endpoint("GET", "/schedules/{id}", "schedules-get", "One schedule", Scope::kReadBackups);
  get.tagged = true;
  routes.add(get, [context](const Request& request, const Principal& principal) {
    return schedule_answer(context.schedules.schedule(schedule_in_path(request), principal));
  });
}

void add_changing(RouteTable& routes, const Context& context) {
  auto update =
      endpoint("PATCH", "/schedules/{id}", "schedules-update", "Change or switch off a schedule", Scope::kWriteBackups);
  update.conditional = true;
  update.body = ref("UpdateSchedule");
  update.more_refusals = {{409, "backups of the service are off, or it is being deleted"},
                          {501, "no backups of that kind can be taken of the service"}};
  routes.add(update, [context](const Request& request, const Principal& principal) {
    const auto wanted = update_request(json_body(request));
    return schedule_answer(context.schedules.update(schedule_in_path(request), wanted, principal));
  });

  auto remove = endpoint("DELETE", "/schedules/{id}", "schedules-delete", "Delete a schedule", Scope::kDeleteBackups);
  remove.description = "What it made stays by its rule, and where that has no days, until it is deleted by hand.";
  remove.previewed = true;
  remove.conditional = true;
  remove.answer = ref("Empty");
  routes.add(remove, [context](const Request& request, const Principal& principal) {
    const auto effect = query_effect(request);
    const auto preview = context.schedules.remove(schedule_in_path(request), principal, effect);
    return json_response(effect == control::Effect::kDryRun ? preview_resource(preview) : json::object());
  });
}

}  // namespace

void add_schedule_routes(RouteTable& routes, const Context& context) {
  add_making(routes, context);
  add_reading(routes, context);
  add_changing(routes, context);
}

}  // namespace backstay::api::house
