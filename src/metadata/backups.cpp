#include "metadata/backups.h"

#include "core/error.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

Values changing_values(const model::Backup& backup) {
  return Values()
      .set("instance_id", backup.instance_id)
      .set("destination_id", backup.destination_id)
      .set("state", model::to_text(backup.state))
      .set("initiated_at", backup.initiated_at)
      .set("taken_at", backup.taken_at)
      .set("stored_at", backup.stored_at)
      .set("confirmed_at", backup.confirmed_at)
      .set("verified_at", backup.verified_at)
      .set("verification", backup.verification ? model::to_json(*backup.verification) : core::json::object())
      .set("start_lsn", backup.start_lsn)
      .set("stop_lsn", backup.stop_lsn)
      .set("timeline", backup.timeline)
      .set("data_bytes", backup.data_bytes)
      .set("stored_bytes", backup.stored_bytes)
      .set("base_id", backup.base_id)
      .set("read_bytes", backup.read_bytes)
      .set("full_reason", backup.full_reason)
      .set("error", backup.error)
      .set("next_step", backup.next_step)
      .set("stands_alone", backup.stands_alone)
      .set("pinned", backup.pinned)
      .set("expires_at", backup.expires_at)
      .set("label", backup.label)
      .set("labels", model::to_json(backup.labels))
      .set("removal_reason", backup.removal_reason);
}

model::Backup read_backup(const Row& row) {
  model::Backup backup;
  backup.id = row.text("id");
  backup.number = row.integer("number");
  backup.service_id = row.text("service_id");
  backup.team_id = row.integer("team_id");
  backup.instance_id = row.text("instance_id");
  backup.destination_id = row.text("destination_id");
  backup.mechanism = model::backup_mechanism_from_text(row.text("mechanism"));
  backup.origin = model::backup_origin_from_text(row.text("origin"));
  backup.state = model::backup_state_from_text(row.text("state"));
  backup.scheduled_at = row.time("scheduled_at");
  backup.initiated_at = row.maybe_time("initiated_at");
  backup.taken_at = row.maybe_time("taken_at");
  backup.stored_at = row.maybe_time("stored_at");
  backup.confirmed_at = row.maybe_time("confirmed_at");
  backup.verified_at = row.maybe_time("verified_at");
  backup.verification = model::verification_from_json(row.object("verification"));
  backup.start_lsn = static_cast<std::uint64_t>(row.integer("start_lsn"));
  backup.stop_lsn = static_cast<std::uint64_t>(row.integer("stop_lsn"));
  backup.timeline = static_cast<std::uint32_t>(row.integer("timeline"));
  backup.data_bytes = static_cast<std::uint64_t>(row.integer("data_bytes"));
  backup.stored_bytes = static_cast<std::uint64_t>(row.integer("stored_bytes"));
  backup.full_wanted = row.flag("full_wanted");
  backup.base_id = row.text("base_id");
  backup.read_bytes = static_cast<std::uint64_t>(row.integer("read_bytes"));
  backup.full_reason = row.text("full_reason");
  backup.error = row.text("error");
  backup.next_step = row.text("next_step");
  backup.stands_alone = row.flag("stands_alone");
  backup.pinned = row.flag("pinned");
  backup.expires_at = row.maybe_time("expires_at");
  backup.label = row.text("label");
  backup.labels = model::labels_from_json(row.object("labels"));
  backup.schedule_id = row.text("schedule_id");
  backup.removal_reason = row.text("removal_reason");
  return backup;
}

Conditions conditions_of(const BackupFilter& filter) {
  Conditions conditions;
  if (!filter.service_id.empty()) {
    conditions.add("service_id = :service_id");
    conditions.values().set("service_id", filter.service_id);
  }
  if (!filter.destination_id.empty()) {
    conditions.add("destination_id = :destination_id");
    conditions.values().set("destination_id", filter.destination_id);
  }
  if (filter.team_ids) conditions.add_in("team_id", *filter.team_ids);
  if (!filter.include_deleted) conditions.add("state <> 'deleted'");
  if (!filter.after_id.empty()) {
    conditions.add("(scheduled_at, id) < (SELECT scheduled_at, id FROM backups WHERE id = :after_id)");
    conditions.values().set("after_id", filter.after_id);
  }
  return conditions;
}

/// How an outcome stands in a verification's text; within a string of it, the quotes would be escaped.
std::string outcome_pattern(model::VerificationOutcome outcome) {
  model::Verification verification;
  verification.outcome = outcome;
  const core::json::object pair{{"outcome", model::to_json(verification).at("outcome")}};
  const auto text = core::json::serialize(pair);
  return "%" + text.substr(1, text.size() - 2) + "%";
}

}  // namespace

std::int64_t Backups::insert(const model::Backup& backup) {
  const auto number = next_number(tx_, "backups");
  auto values = changing_values(backup);
  values.set("id", backup.id)
      .set("number", number)
      .set("schedule_id", backup.schedule_id)
      .set("full_wanted", backup.full_wanted)
      .set("service_id", backup.service_id)
      .set("team_id", backup.team_id)
      .set("mechanism", model::to_text(backup.mechanism))
      .set("origin", model::to_text(backup.origin))
      .set("scheduled_at", backup.scheduled_at);
  metadata::insert(tx_, "backups", values);
  return number;
}

std::optional<model::Backup> Backups::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM backups WHERE id = :id")
      .bind(Values().set("id", id))
      .first<model::Backup>(read_backup);
}

std::optional<model::Backup> Backups::find_number(std::int64_t number) {
  return Query(tx_, "SELECT * FROM backups WHERE number = :number")
      .bind(Values().set("number", number))
      .first<model::Backup>(read_backup);
}

model::Backup Backups::require(const std::string& id) {
  auto found = find(id);
  if (!found) throw core::Error(core::Code::kNotFound, "backup '" + id + "' does not exist");
  return std::move(*found);
}

std::map<std::string, std::vector<model::Backup>> Backups::list_of(const std::vector<std::string>& service_ids) {
  std::map<std::string, std::vector<model::Backup>> backups;
  for_each_batch(service_ids, [&](const std::vector<std::string>& batch) {
    Conditions conditions;
    conditions.add_in("service_id", batch);
    conditions.add("state <> 'deleted'");
    Query(tx_, "SELECT * FROM backups" + conditions.where() + " ORDER BY service_id, scheduled_at DESC, id DESC")
        .bind(conditions.values())
        .each([&](const Row& row) {
          auto backup = read_backup(row);
          backups[backup.service_id].push_back(std::move(backup));
        });
  });
  return backups;
}

std::vector<model::Backup> Backups::list(const BackupFilter& filter) {
  auto conditions = conditions_of(filter);
  return Query(tx_, "SELECT * FROM backups" + conditions.where() + " ORDER BY scheduled_at DESC, id DESC" +
                        limit_clause(filter.limit))
      .bind(conditions.values())
      .list<model::Backup>(read_backup);
}

void Backups::update(const model::Backup& backup) {
  const auto before = require(backup.id);
  if (!model::may_change(before.state, backup.state)) {
    throw core::Error(core::Code::kConflict, "backup '" + backup.id + "' is " +
                                                 std::string(model::to_text(before.state)) + " and cannot become " +
                                                 std::string(model::to_text(backup.state)));
  }
  metadata::update(tx_, "backups", changing_values(backup), "id = :id", Values().set("id", backup.id));
}

void Backups::move(const std::string& from_service, const std::string& instance_id, const std::string& to_service) {
  metadata::update(tx_, "backups", Values().set("service_id", to_service),
                   "service_id = :from_service AND (instance_id = :of OR instance_id = '')",
                   Values().set("from_service", from_service).set("of", instance_id));
}

void Backups::move_taken(const std::string& from_service, const std::string& instance_id,
                         const std::string& to_service) {
  metadata::update(tx_, "backups", Values().set("service_id", to_service),
                   "service_id = :from_service AND instance_id = :of",
                   Values().set("from_service", from_service).set("of", instance_id));
}

void Backups::remove(const std::string& id) {
  Query(tx_, "DELETE FROM backups WHERE id = :id").bind(Values().set("id", id)).run();
}

std::optional<model::Backup> Backups::last_of(const std::string& service_id, model::BackupOrigin origin) {
  return Query(tx_,
               "SELECT * FROM backups WHERE service_id = :service_id AND origin = :origin AND schedule_id = '' "
               "ORDER BY scheduled_at DESC, id DESC LIMIT 1")
      .bind(Values().set("service_id", service_id).set("origin", model::to_text(origin)))
      .first<model::Backup>(read_backup);
}

std::optional<model::Backup> Backups::last_verified(const std::string& service_id) {
  return Query(tx_,
               "SELECT * FROM backups WHERE service_id = :service_id AND verified_at IS NOT NULL AND state = "
               "'completed' AND mechanism = 'physical' AND verification NOT LIKE :failed ORDER BY verified_at DESC "
               "LIMIT 1")
      .bind(Values().set("service_id", service_id).set("failed", outcome_pattern(model::VerificationOutcome::kFailed)))
      .first<model::Backup>(read_backup);
}

std::optional<model::Backup> Backups::last_tried(const std::string& service_id) {
  return Query(
             tx_,
             "SELECT * FROM backups WHERE service_id = :service_id AND verification <> '{}' AND verification NOT LIKE "
             ":not_run AND state = 'completed' ORDER BY scheduled_at DESC, id DESC LIMIT 1")
      .bind(Values().set("service_id", service_id).set("not_run", outcome_pattern(model::VerificationOutcome::kNotRun)))
      .first<model::Backup>(read_backup);
}

std::optional<core::Timestamp> Backups::last_confirmed_at(const std::string& service_id) {
  return Query(
             tx_,
             "SELECT confirmed_at FROM backups WHERE service_id = :service_id AND confirmed_at IS NOT NULL AND state = "
             "'completed' ORDER BY confirmed_at DESC LIMIT 1")
      .bind(Values().set("service_id", service_id))
      .first<core::Timestamp>([](const Row& row) { return row.time("confirmed_at"); });
}

}  // namespace backstay::metadata
