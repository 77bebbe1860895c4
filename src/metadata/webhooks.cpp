#include "metadata/webhooks.h"

#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {
namespace {

SealedPlace secret_of(const std::string& id) { return {.table = "webhooks", .column = "sealed_secret", .row = id}; }

Values changing_values(const model::Webhook& webhook) {
  return Values()
      .set("name", webhook.name)
      .set("url", webhook.url)
      .set("events", core::json::array(webhook.events.begin(), webhook.events.end()))
      .set("enabled", webhook.enabled)
      .set("disabled_reason", webhook.disabled_reason)
      .set("failing_since", webhook.failing_since)
      .set("after_sequence", webhook.after_sequence);
}

model::Webhook read_webhook(const Row& row, Sealer& sealer) {
  model::Webhook webhook;
  webhook.id = row.text("id");
  webhook.team_id = row.integer("team_id");
  webhook.name = row.text("name");
  webhook.url = row.text("url");
  for (const auto& name : row.array("events")) webhook.events.emplace_back(name.as_string());
  webhook.secret = sealer.open(secret_of(webhook.id), row.text("sealed_secret"));
  webhook.enabled = row.flag("enabled");
  webhook.disabled_reason = row.text("disabled_reason");
  webhook.failing_since = row.maybe_time("failing_since");
  webhook.after_sequence = row.integer("after_sequence");
  webhook.created_at = row.time("created_at");
  return webhook;
}

Values changing_values(const model::Delivery& delivery) {
  return Values()
      .set("state", model::to_text(delivery.state))
      .set("attempts", delivery.attempts)
      .set("next_at", delivery.next_at)
      .set("finished_at", delivery.finished_at)
      .set("last_status", delivery.last_status)
      .set("last_error", delivery.last_error);
}

model::Delivery read_delivery(const Row& row) {
  model::Delivery delivery;
  delivery.id = row.text("id");
  delivery.sequence = row.integer("sequence");
  delivery.webhook_id = row.text("webhook_id");
  delivery.team_id = row.integer("team_id");
  delivery.event_id = row.text("event_id");
  delivery.event_name = row.text("event_name");
  delivery.body = row.text("body");
  delivery.state = model::delivery_state_from_text(row.text("state"));
  delivery.attempts = row.integer("attempts");
  delivery.next_at = row.time("next_at");
  delivery.created_at = row.time("created_at");
  delivery.finished_at = row.maybe_time("finished_at");
  delivery.last_status = row.integer("last_status");
  delivery.last_error = row.text("last_error");
  return delivery;
}

}  // namespace

void Webhooks::insert(const model::Webhook& webhook) {
  auto values = changing_values(webhook);
  values.set("id", webhook.id)
      .set("team_id", webhook.team_id)
      .set("sealed_secret", tx_.sealer().seal(secret_of(webhook.id), std::string_view(webhook.secret.reveal())))
      .set("created_at", webhook.created_at);
  metadata::insert(tx_, "webhooks", values);
}

void Webhooks::update(const model::Webhook& webhook) {
  metadata::update(tx_, "webhooks", changing_values(webhook), "id = :the_id", Values().set("the_id", webhook.id));
}

std::optional<model::Webhook> Webhooks::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM webhooks WHERE id = :id")
      .bind(Values().set("id", id))
      .first<model::Webhook>([&](const Row& row) { return read_webhook(row, tx_.sealer()); });
}

std::vector<model::Webhook> Webhooks::list(const std::optional<std::vector<std::int64_t>>& team_ids) {
  Conditions conditions;
  if (team_ids) conditions.add_in("team_id", *team_ids);
  return Query(tx_, "SELECT * FROM webhooks" + conditions.where() + " ORDER BY created_at, id")
      .bind(conditions.values())
      .list<model::Webhook>([&](const Row& row) { return read_webhook(row, tx_.sealer()); });
}

void Webhooks::remove(const std::string& id) {
  Query(tx_, "DELETE FROM webhook_deliveries WHERE webhook_id = :id").bind(Values().set("id", id)).run();
  Query(tx_, "DELETE FROM webhooks WHERE id = :id").bind(Values().set("id", id)).run();
}

void Deliveries::insert(const model::Delivery& delivery) {
  auto values = changing_values(delivery);
  values.set("id", delivery.id)
      .set("sequence", next_number(tx_, "webhook_deliveries"))
      .set("webhook_id", delivery.webhook_id)
      .set("team_id", delivery.team_id)
      .set("event_id", delivery.event_id)
      .set("event_name", delivery.event_name)
      .set("body", delivery.body)
      .set("created_at", delivery.created_at);
  metadata::insert(tx_, "webhook_deliveries", values);
}

void Deliveries::update(const model::Delivery& delivery) {
  metadata::update(tx_, "webhook_deliveries", changing_values(delivery), "id = :the_id",
                   Values().set("the_id", delivery.id));
}

std::optional<model::Delivery> Deliveries::find(const std::string& id) {
  return Query(tx_, "SELECT * FROM webhook_deliveries WHERE id = :id")
      .bind(Values().set("id", id))
      .first<model::Delivery>(read_delivery);
}

std::vector<model::Delivery> Deliveries::list(const std::string& webhook_id, std::int64_t before_sequence,
                                              std::size_t limit) {
  Conditions conditions;
  conditions.add("webhook_id = :webhook_id");
  conditions.values().set("webhook_id", webhook_id);
  if (before_sequence > 0) {
    conditions.add("sequence < :before_sequence");
    conditions.values().set("before_sequence", before_sequence);
  }
  return Query(tx_, "SELECT * FROM webhook_deliveries" + conditions.where() + " ORDER BY sequence DESC" +
                        limit_clause(limit))
      .bind(conditions.values())
      .list<model::Delivery>(read_delivery);
}

std::vector<model::Delivery> Deliveries::due(const std::string& webhook_id, core::Timestamp now, std::size_t limit) {
  return Query(tx_,
               "SELECT * FROM webhook_deliveries WHERE webhook_id = :webhook_id AND state = 'pending' AND next_at <= "
               ":now ORDER BY sequence" +
                   limit_clause(limit))
      .bind(Values().set("webhook_id", webhook_id).set("now", now))
      .list<model::Delivery>(read_delivery);
}

std::vector<std::string> Deliveries::webhooks_due(core::Timestamp now) {
  return Query(tx_,
               "SELECT id FROM webhooks WHERE enabled = 1 AND EXISTS (SELECT 1 FROM webhook_deliveries WHERE "
               "webhook_id = webhooks.id AND state = 'pending' AND next_at <= :now) ORDER BY (SELECT MIN(next_at) FROM "
               "webhook_deliveries WHERE webhook_id = webhooks.id AND state = 'pending'), id")
      .bind(Values().set("now", now))
      .list<std::string>([](const Row& row) { return row.text("id"); });
}

void Deliveries::put_off(const std::string& webhook_id, core::Timestamp until) {
  Query(tx_,
        "UPDATE webhook_deliveries SET next_at = :until WHERE webhook_id = :webhook_id AND state = 'pending' AND "
        "next_at < :until_then")
      .bind(Values().set("until", until).set("webhook_id", webhook_id).set("until_then", until))
      .run();
}

void Deliveries::give_up(const std::string& webhook_id, core::Timestamp now, const std::string& reason) {
  Query(tx_,
        "UPDATE webhook_deliveries SET state = 'failed', finished_at = :now, last_error = :reason WHERE webhook_id = "
        ":webhook_id AND state = 'pending'")
      .bind(Values().set("now", now).set("reason", reason).set("webhook_id", webhook_id))
      .run();
}

bool Deliveries::is_pending(const std::string& webhook_id, const std::string& event_name) {
  return Query(tx_,
               "SELECT id FROM webhook_deliveries WHERE webhook_id = :webhook_id AND state = 'pending' AND event_name "
               "= :event_name LIMIT 1")
      .bind(Values().set("webhook_id", webhook_id).set("event_name", event_name))
      .first<std::string>([](const Row& row) { return row.text("id"); })
      .has_value();
}

std::size_t Deliveries::prune(core::Timestamp older_than) {
  return Query(tx_, "DELETE FROM webhook_deliveries WHERE finished_at < :older_than")
      .bind(Values().set("older_than", older_than))
      .run();
}

}  // namespace backstay::metadata
