#include "metadata/verification_turns.h"

#include "metadata/query.h"

namespace backstay::metadata {

std::vector<std::string> VerificationTurns::due(std::int64_t server, core::Timestamp now, std::size_t limit) {
  return Query(tx_,
               "SELECT id FROM services WHERE driver = :server AND verification_due_at <= :now ORDER BY "
               "verification_due_at" +
                   limit_clause(limit))
      .bind(Values().set("server", server).set("now", now))
      .list<std::string>([](const Row& row) { return row.text("id"); });
}

void VerificationTurns::set(const std::string& service_id, std::optional<core::Timestamp> next) {
  update(tx_, "services", Values().set("verification_due_at", next), "id = :id", Values().set("id", service_id));
}

void VerificationTurns::hurry(const std::string& service_id, core::Timestamp latest) {
  update(tx_, "services", Values().set("verification_due_at", latest),
         "id = :the_id AND (verification_due_at IS NULL OR verification_due_at > :latest)",
         Values().set("the_id", service_id).set("latest", latest));
}

}  // namespace backstay::metadata
