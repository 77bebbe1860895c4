#include "metadata/services.h"

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {
namespace {

namespace json = core::json;

json::object numbers_json(const std::map<std::string, std::int64_t>& numbers) {
  json::object object;
  for (const auto& [name, number] : numbers) object[name] = number;
  return object;
}

std::map<std::string, std::int64_t> read_numbers(const json::value& value) {
  std::map<std::string, std::int64_t> numbers;
  for (const auto& [name, number] : value.as_object()) numbers[name] = number.to_number<std::int64_t>();
  return numbers;
}

json::object plan_json(const model::ServicePlan& plan) {
  return {{"id", plan.id}, {"parameters", numbers_json(plan.parameters)}, {"resources", numbers_json(plan.resources)}};
}

model::ServicePlan read_plan(const json::object& object) {
  return {.id = core::require_int(object, "id"),
          .parameters = read_numbers(object.at("parameters")),
          .resources = read_numbers(object.at("resources"))};
}

json::object backups_json(const model::BackupSettings& backups) {
  json::object object{{"enabled", backups.enabled},
                      {"intervalH", backups.interval_h},
                      {"deleteRetentionDays", backups.retention_days},
                      {"config", backups.config}};
  if (backups.enabled_at) object["enabledAt"] = backups.enabled_at->time_since_epoch().count();
  return object;
}

model::BackupSettings read_backups(const json::object& object) {
  model::BackupSettings backups;
  backups.enabled = core::find_bool(object, "enabled").value_or(false);
  backups.interval_h = core::require_int(object, "intervalH");
  backups.retention_days = core::require_int(object, "deleteRetentionDays");
  backups.config = core::require_object(object, "config");
  if (const auto at = core::find_int(object, "enabledAt")) backups.enabled_at = core::Timestamp(core::Duration(*at));
  return backups;
}

SealedPlace secrets_of(const std::string& id) { return {.table = "services", .column = "sealed_secrets", .row = id}; }
SealedPlace backup_secrets_of(const std::string& id) {
  return {.table = "services", .column = "sealed_backup_secrets", .row = id};
}

Values desired_values(const model::Service& service, Sealer& sealer) {
  return Values()
      .set("name", service.name)
      .set("plan", plan_json(service.plan))
      .set("config", service.config)
      .set("sealed_secrets", sealer.seal(secrets_of(service.id), service.secrets))
      .set("backups", backups_json(service.backups))
      .set("sealed_backup_secrets", sealer.seal(backup_secrets_of(service.id), service.backups.secrets))
      .set("destination_id", service.backups.destination_id)
      .set("pause", service.pause)
      .set("deletion_protection", service.deletion_protection)
      .set("labels", model::to_json(service.labels))
      .set("app_version", service.app_version)
      .set("recovered_from", service.recovered_from)
      .set("candidate_of", service.candidate_of)
      .set("generation", service.generation)
      .set("delete_requested_at", service.delete_requested_at)
      .set("deleted_at", service.deleted_at)
      .set("expires_at", service.expires_at)
      .set("updated_at", service.updated_at);
}

void add_status(Values& values, const model::ServiceStatus& status) {
  values.set("state", model::to_text(status.state))
      .set("observed_generation", status.observed_generation)
      .set("instance_id", status.instance_id)
      .set("details", status.details)
      .set("reason", status.reason)
      .set("next_step", status.next_step)
      .set("last_error", status.last_error);
}

model::ServiceStatus read_status(const Row& row) {
  return {.state = model::service_state_from_text(row.text("state")),
          .observed_generation = row.integer("observed_generation"),
          .instance_id = row.text("instance_id"),
          .details = row.object("details"),
          .reason = row.text("reason"),
          .next_step = row.text("next_step"),
          .last_error = row.text("last_error")};
}

model::Service read_service(const Row& row, Sealer& sealer) {
  model::Service service;
  service.id = row.text("id");
  service.team_id = row.integer("team_id");
  service.name = row.text("name");
  service.provider = {
      .name = row.text("provider_name"), .version = row.text("provider_version"), .kind = row.text("provider_kind")};
  service.plan = read_plan(row.object("plan"));
  service.config = row.object("config");
  service.secrets = sealer.open_all(secrets_of(service.id), row.text("sealed_secrets"));
  service.backups = read_backups(row.object("backups"));
  service.backups.secrets = sealer.open_all(backup_secrets_of(service.id), row.text("sealed_backup_secrets"));
  service.backups.destination_id = row.text("destination_id");
  service.pause = row.flag("pause");
  service.deletion_protection = row.flag("deletion_protection");
  service.labels = model::labels_from_json(row.object("labels"));
  service.app_version = row.text("app_version");
  service.recovered_from = row.object("recovered_from");
  service.candidate_of = row.text("candidate_of");
  service.generation = row.integer("generation");
  service.delete_requested_at = row.maybe_time("delete_requested_at");
  service.deleted_at = row.maybe_time("deleted_at");
  service.expires_at = row.maybe_time("expires_at");
  service.created_at = row.time("created_at");
  service.updated_at = row.time("updated_at");
  service.status = read_status(row);
  return service;
}

[[noreturn]] void throw_not_found(const std::string& id) {
  throw core::Error(core::Code::kNotFound, "service '" + id + "' does not exist");
}

/// The store's own words name columns; a person wants the name.
[[noreturn]] void throw_name_taken(const model::Service& service, core::Error error) {
  if (error.code() != core::Code::kAlreadyExists) throw error;
  throw core::Error(core::Code::kAlreadyExists,
                    "team " + std::to_string(service.team_id) + " has a service named '" + service.name + "' already")
      .with_field("/name", "is taken");
}

}  // namespace

void Services::insert(const model::Service& service) {
  if (find(service.id)) {
    throw core::Error(core::Code::kAlreadyExists, "service '" + service.id + "' exists already");
  }
  auto values = desired_values(service, tx_.sealer());
  values.set("id", service.id)
      .set("team_id", service.team_id)
      .set("provider_name", service.provider.name)
      .set("provider_version", service.provider.version)
      .set("provider_kind", service.provider.kind)
      .set("created_at", service.created_at)
      .set("change", next_number(tx_, "changes"));
  add_status(values, service.status);
  try {
    metadata::insert(tx_, "services", values);
  } catch (const core::Error& error) {
    throw_name_taken(service, error);
  }
}

std::optional<model::Service> Services::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM services WHERE id = :id")
      .bind(Values().set("id", id))
      .first<model::Service>([&](const Row& row) { return read_service(row, tx_.sealer()); });
}

model::Service Services::require(const std::string& id) {
  auto found = find(id);
  if (!found) throw_not_found(id);
  return std::move(*found);
}

std::vector<model::Service> Services::list(const ServiceFilter& filter) {
  Conditions conditions;
  if (filter.team_ids) conditions.add_in("team_id", *filter.team_ids);
  if (!filter.include_deleted) conditions.add("delete_requested_at IS NULL AND deleted_at IS NULL");
  if (!filter.name.empty()) {
    conditions.add("name = :name");
    conditions.values().set("name", filter.name);
  }
  if (!filter.after_id.empty()) {
    conditions.add("(created_at, id) > (SELECT created_at, id FROM services WHERE id = :after_id)");
    conditions.values().set("after_id", filter.after_id);
  }
  return Query(tx_,
               "SELECT * FROM services" + conditions.where() + " ORDER BY created_at, id" + limit_clause(filter.limit))
      .bind(conditions.values())
      .list<model::Service>([&](const Row& row) { return read_service(row, tx_.sealer()); });
}

std::vector<std::string> Services::list_living_ids() {
  return Query(tx_, "SELECT id FROM services WHERE state <> 'deleted' ORDER BY created_at, id")
      .list<std::string>([](const Row& row) { return row.text("id"); });
}

std::vector<model::Service> Services::list_recovered_from(const std::string& id) {
  return Query(tx_, "SELECT * FROM services WHERE recovered_from LIKE :named ORDER BY created_at, id")
      .bind(Values().set("named", "%\"serviceId\":\"" + id + "\"%"))
      .list<model::Service>([&](const Row& row) { return read_service(row, tx_.sealer()); });
}

std::vector<model::Service> Services::list_candidates(const std::string& id) {
  return Query(tx_, "SELECT * FROM services WHERE candidate_of = :id ORDER BY created_at, id")
      .bind(Values().set("id", id))
      .list<model::Service>([&](const Row& row) { return read_service(row, tx_.sealer()); });
}

Changes Services::list_changes(std::int64_t server, std::int64_t since) {
  Changes changes{.until = since};
  Query(tx_, "SELECT id, change FROM services WHERE driver = :server AND change > :since ORDER BY change")
      .bind(Values().set("server", server).set("since", since))
      .each([&](const Row& row) {
        changes.ids.push_back(row.text("id"));
        changes.until = row.integer("change");
      });
  return changes;
}

std::map<std::string, std::int64_t> Services::count_states() {
  std::map<std::string, std::int64_t> counts;
  Query(tx_, "SELECT state, count(*) AS number FROM services GROUP BY state").each([&](const Row& row) {
    counts[row.text("state")] = row.integer("number");
  });
  return counts;
}

void Services::update_desired(const model::Service& service) {
  try {
    auto values = desired_values(service, tx_.sealer());
    values.set("change", next_number(tx_, "changes"));
    if (metadata::update(tx_, "services", values, "id = :id", Values().set("id", service.id)) == 0) {
      throw_not_found(service.id);
    }
  } catch (const core::Error& error) {
    throw_name_taken(service, error);
  }
}

void Services::update_status(const std::string& id, const model::ServiceStatus& status, core::Timestamp now) {
  Values values;
  add_status(values, status);
  values.set("updated_at", now).set("change", next_number(tx_, "changes"));
  const auto changed = metadata::update(tx_, "services", values,
                                        "id = :id AND (state <> 'deleted' OR deleted_at IS NULL OR state = :new_state)",
                                        Values().set("id", id).set("new_state", model::to_text(status.state)));
  if (changed > 0) return;
  if (!find(id)) throw_not_found(id);
  throw core::Error(core::Code::kConflict, "service '" + id + "' is deleted; its state does not change any more");
}

void Services::remove(const std::string& id) {
  const auto bound = Values().set("id", id);
  Query(tx_, "DELETE FROM allocations WHERE owner = :id OR owner IN (SELECT id FROM instances WHERE service_id = :id)")
      .bind(bound)
      .run();
  // Instances and backups go with it.
  Query(tx_, "DELETE FROM services WHERE id = :id").bind(bound).run();
}

}  // namespace backstay::metadata
