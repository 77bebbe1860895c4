#include "metadata/retention_turns.h"

#include "metadata/query.h"

namespace backstay::metadata {
namespace {

std::string read_id(const Row& row) { return row.text("id"); }

}  // namespace

std::vector<std::string> RetentionTurns::services(std::int64_t server, core::Timestamp now, std::size_t limit) {
  return Query(tx_,
               "SELECT id FROM services WHERE driver = :server AND retention_due_at <= :now ORDER BY "
               "retention_due_at" +
                   limit_clause(limit))
      .bind(Values().set("server", server).set("now", now))
      .list<std::string>(read_id);
}

void RetentionTurns::set_service(const std::string& id, core::Timestamp next) {
  update(tx_, "services", Values().set("retention_due_at", next), "id = :id", Values().set("id", id));
}

void RetentionTurns::put_off_service(const std::string& id, core::Timestamp now, core::Timestamp next) {
  Query(tx_, "UPDATE services SET retention_due_at = :next WHERE id = :id AND retention_due_at > :now")
      .bind(Values().set("id", id).set("now", now).set("next", next))
      .run();
}

std::vector<std::string> RetentionTurns::destinations(core::Timestamp now, std::size_t limit) {
  return Query(tx_,
               "SELECT id FROM destinations WHERE repository_id <> '' AND lost_at IS NULL AND (prune_due_at IS NULL OR "
               "prune_due_at <= "
               ":now) ORDER BY id" +
                   limit_clause(limit))
      .bind(Values().set("now", now))
      .list<std::string>(read_id);
}

bool RetentionTurns::destination_had_turn(const std::string& id) {
  return !Query(tx_, "SELECT id FROM destinations WHERE id = :id AND prune_due_at IS NOT NULL")
              .bind(Values().set("id", id))
              .list<std::string>(read_id)
              .empty();
}

void RetentionTurns::set_destination(const std::string& id, core::Timestamp next) {
  update(tx_, "destinations", Values().set("prune_due_at", next), "id = :id", Values().set("id", id));
}

}  // namespace backstay::metadata
