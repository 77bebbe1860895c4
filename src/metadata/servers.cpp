#include "metadata/servers.h"

#include "metadata/operations.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

std::int64_t count(Transaction& tx, const std::string& rows, const Values& bound = {}) {
  return Query(tx, "SELECT count(*) AS number FROM " + rows)
      .bind(bound)
      .first<std::int64_t>([](const Row& row) { return row.integer("number"); })
      .value_or(0);
}

constexpr auto kNothingRuns =
    "NOT EXISTS (SELECT 1 FROM operations AS running WHERE running.service_id = services.id AND running.is_open = 1 "
    "AND running.state = 'running')";

}  // namespace

std::string lease_owner(std::int64_t epoch) { return "server " + std::to_string(epoch); }

std::int64_t Servers::enter(const std::string& id, core::Timestamp now) {
  for (const auto& server : list()) {
    if (server.id == id) retire(server.epoch, std::nullopt, now);
  }
  const auto epoch = next_number(tx_, "servers");
  insert(tx_, "servers", Values().set("epoch", epoch).set("id", id).set("beats", 0).set("entered_at", now));
  return epoch;
}

bool Servers::beat(std::int64_t epoch) {
  return Query(tx_, "UPDATE servers SET beats = beats + 1 WHERE epoch = :epoch")
             .bind(Values().set("epoch", epoch))
             .run() > 0;
}

bool Servers::is_member(std::int64_t epoch) {
  return count(tx_, "servers WHERE epoch = :epoch", Values().set("epoch", epoch)) > 0;
}

std::vector<ServerRecord> Servers::list() {
  return Query(tx_, "SELECT * FROM servers ORDER BY epoch").list<ServerRecord>([](const Row& row) {
    return ServerRecord{.epoch = row.integer("epoch"),
                        .id = row.text("id"),
                        .beats = row.integer("beats"),
                        .entered_at = row.time("entered_at")};
  });
}

bool Servers::retire(std::int64_t epoch, std::optional<std::int64_t> beats, core::Timestamp now) {
  auto bound = Values().set("epoch", epoch);
  if (beats) bound.set("beats", *beats);
  const auto removed =
      Query(tx_, std::string("DELETE FROM servers WHERE epoch = :epoch") + (beats ? " AND beats = :beats" : ""))
          .bind(bound)
          .run();
  if (removed == 0) return false;
  Operations(tx_).requeue_abandoned(lease_owner(epoch), now);
  Query(tx_, "UPDATE services SET driver = 0 WHERE driver = :epoch").bind(Values().set("epoch", epoch)).run();
  return true;
}

/// How many more services the server may take; negative if it should give some up.
std::int64_t Servers::room(std::int64_t epoch) {
  const auto servers = std::max<std::int64_t>(1, count(tx_, "servers"));
  const auto all = count(tx_, "services");
  const auto own = count(tx_, "services WHERE driver = :epoch", Values().set("epoch", epoch));
  return (all + servers - 1) / servers - own;
}

bool Servers::has_free_services() {
  return Query(tx_, "SELECT id FROM services WHERE driver = 0 LIMIT 1")
      .first<std::string>([](const Row& row) { return row.text("id"); })
      .has_value();
}

std::size_t Servers::take_services(std::int64_t epoch) {
  if (!has_free_services()) return 0;
  const auto places = room(epoch);
  if (places <= 0) return 0;
  return Query(tx_,
               "UPDATE services SET driver = :epoch, change = :change WHERE id IN (SELECT id FROM services WHERE "
               "driver = 0 ORDER BY created_at, id" +
                   limit_clause(static_cast<std::size_t>(places)) + ")")
      .bind(Values().set("epoch", epoch).set("change", next_number(tx_, "changes")))
      .run();
}

std::size_t Servers::excess(std::int64_t epoch) {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, -room(epoch)));
}

std::vector<std::string> Servers::idle_services(std::int64_t epoch, std::size_t most) {
  return Query(tx_, std::string("SELECT id FROM services WHERE driver = :epoch AND ") + kNothingRuns +
                        " ORDER BY created_at DESC, id DESC" + limit_clause(most))
      .bind(Values().set("epoch", epoch))
      .list<std::string>([](const Row& row) { return row.text("id"); });
}

bool Servers::release(const std::string& service_id, std::int64_t epoch) {
  return Query(tx_,
               std::string("UPDATE services SET driver = 0 WHERE id = :id AND driver = :epoch AND ") + kNothingRuns)
             .bind(Values().set("id", service_id).set("epoch", epoch))
             .run() > 0;
}

}  // namespace backstay::metadata
