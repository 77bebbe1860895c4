#include "metadata/schedules.h"

#include "metadata/query.h"

namespace backstay::metadata {
namespace {

Values owner_values(const model::BackupSchedule& schedule) {
  return Values()
      .set("name", schedule.name)
      .set("destination_id", schedule.destination_id)
      .set("cron", schedule.cron)
      .set("time_zone", schedule.time_zone)
      .set("interval_h", schedule.interval_h)
      .set("counted_from", schedule.counted_from)
      .set("retention_count", schedule.keep.count)
      .set("retention_days", schedule.keep.days)
      .set("mechanism", model::to_text(schedule.mechanism))
      .set("enabled", schedule.enabled)
      .set("next_at", schedule.next_at)
      .set("generation", schedule.generation)
      .set("updated_at", schedule.updated_at)
      .set("deleted_at", schedule.deleted_at);
}

model::BackupSchedule read_schedule(const Row& row) {
  model::BackupSchedule schedule;
  schedule.id = row.text("id");
  schedule.team_id = row.integer("team_id");
  schedule.service_id = row.text("service_id");
  schedule.name = row.text("name");
  schedule.destination_id = row.text("destination_id");
  schedule.cron = row.text("cron");
  schedule.time_zone = row.text("time_zone");
  schedule.interval_h = row.integer("interval_h");
  schedule.counted_from = row.time("counted_from");
  schedule.keep = {.count = row.integer("retention_count"), .days = row.integer("retention_days")};
  schedule.mechanism = model::backup_mechanism_from_text(row.text("mechanism"));
  schedule.enabled = row.flag("enabled");
  schedule.next_at = row.maybe_time("next_at");
  schedule.last_run_at = row.maybe_time("last_run_at");
  schedule.last_backup_id = row.text("last_backup_id");
  schedule.last_outcome = model::run_outcome_from_text(row.text("last_outcome"));
  schedule.generation = row.integer("generation");
  schedule.created_at = row.time("created_at");
  schedule.updated_at = row.time("updated_at");
  schedule.deleted_at = row.maybe_time("deleted_at");
  return schedule;
}

}  // namespace

void Schedules::insert(const model::BackupSchedule& schedule) {
  auto values = owner_values(schedule);
  values.set("id", schedule.id)
      .set("team_id", schedule.team_id)
      .set("service_id", schedule.service_id)
      .set("last_run_at", schedule.last_run_at)
      .set("last_backup_id", schedule.last_backup_id)
      .set("last_outcome", model::to_text(schedule.last_outcome))
      .set("created_at", schedule.created_at);
  metadata::insert(tx_, "schedules", values);
}

std::optional<model::BackupSchedule> Schedules::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM schedules WHERE id = :id AND deleted_at IS NULL")
      .bind(Values().set("id", id))
      .first<model::BackupSchedule>(read_schedule);
}

std::vector<model::BackupSchedule> Schedules::list(const ScheduleFilter& filter) {
  Conditions conditions;
  if (!filter.service_id.empty()) {
    conditions.add("service_id = :service_id");
    conditions.values().set("service_id", filter.service_id);
  }
  if (filter.team_ids) conditions.add_in("team_id", *filter.team_ids);
  if (!filter.include_deleted) conditions.add("deleted_at IS NULL");
  return Query(tx_, "SELECT * FROM schedules" + conditions.where() + " ORDER BY created_at, id")
      .bind(conditions.values())
      .list<model::BackupSchedule>(read_schedule);
}

void Schedules::update(const model::BackupSchedule& schedule) {
  metadata::update(tx_, "schedules", owner_values(schedule), "id = :id", Values().set("id", schedule.id));
}

void Schedules::note_run(const std::string& id, const std::string& backup_id, core::Timestamp at) {
  const auto values = Values()
                          .set("last_run_at", at)
                          .set("last_backup_id", backup_id)
                          .set("last_outcome", model::to_text(model::RunOutcome::kRunning));
  metadata::update(tx_, "schedules", values, "id = :id", Values().set("id", id));
}

void Schedules::set_next(const std::string& id, core::Timestamp next) {
  metadata::update(tx_, "schedules", Values().set("next_at", next), "id = :id", Values().set("id", id));
}

void Schedules::set_outcome(const std::string& id, const std::string& backup_id, model::RunOutcome outcome) {
  metadata::update(tx_, "schedules", Values().set("last_outcome", model::to_text(outcome)),
                   "id = :id AND last_backup_id = :backup_id", Values().set("id", id).set("backup_id", backup_id));
}

void Schedules::hurry(const std::string& id, core::Timestamp time) {
  metadata::update(tx_, "schedules", Values().set("next_at", time), "id = :id AND next_at > :limit",
                   Values().set("id", id).set("limit", time));
}

void Schedules::remove_forgotten(const std::string& service_id) {
  Query(tx_,
        "DELETE FROM schedules WHERE service_id = :service_id AND deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
        "backups WHERE schedule_id = schedules.id AND schedule_id <> '')")
      .bind(Values().set("service_id", service_id))
      .run();
}

std::vector<model::BackupSchedule> Schedules::due(std::int64_t server, core::Timestamp now, std::size_t limit) {
  return Query(tx_,
               "SELECT * FROM (SELECT schedules.*, ROW_NUMBER() OVER (PARTITION BY schedules.team_id ORDER BY next_at, "
               "schedules.id) AS turn FROM schedules JOIN services ON services.id = schedules.service_id WHERE next_at "
               "<= :now AND services.driver = :server AND services.pause = 0 AND services.delete_requested_at IS NULL "
               "AND services.state IN ('synchronized', 'updating') AND NOT EXISTS (SELECT 1 FROM backups WHERE "
               "schedule_id = schedules.id AND schedule_id <> '' AND backups.state IN ('scheduled', 'running'))) AS "
               "waiting ORDER BY turn, next_at, id" +
                   limit_clause(limit))
      .bind(Values().set("now", now).set("server", server))
      .list<model::BackupSchedule>(read_schedule);
}

}  // namespace backstay::metadata
