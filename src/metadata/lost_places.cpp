#include "metadata/lost_places.h"

#include "metadata/query.h"
#include "model/backup.h"

namespace backstay::metadata {
namespace {

std::string read_id(const Row& row) { return row.text("id"); }

/// Of what was lost before it was taken, which cannot be, the time of its order would speak.
constexpr auto kTakenBefore =
    "service_id = :service AND state = 'lost' AND COALESCE(taken_at, scheduled_at) <= :before";

}  // namespace

std::vector<std::string> LostPlaces::services(const std::string& destination_id) {
  return Query(tx_, "SELECT id FROM services WHERE destination_id = :id ORDER BY name, id")
      .bind(Values().set("id", destination_id))
      .list<std::string>(read_id);
}

std::vector<std::string> LostPlaces::backups_under_way(const std::string& destination_id) {
  return Query(tx_,
               "SELECT id FROM backups WHERE destination_id = :id AND state IN ('scheduled', 'running') ORDER BY id")
      .bind(Values().set("id", destination_id))
      .list<std::string>(read_id);
}

std::map<std::string, std::int64_t> LostPlaces::lose(const std::string& destination_id, const std::string& error,
                                                     const std::string& next_step) {
  const auto bound = Values().set("id", destination_id);
  Query(tx_, "DELETE FROM backups WHERE destination_id = :id AND state IN ('failed', 'deleting', 'deleted')")
      .bind(bound)
      .run();
  auto lost = count("service_id", "destination_id = :id AND state = 'completed'", bound);
  update(tx_, "backups",
         Values()
             .set("state", model::to_text(model::BackupState::kLost))
             .set("stored_at", std::optional<core::Timestamp>())
             .set("confirmed_at", std::optional<core::Timestamp>())
             .set("verified_at", std::optional<core::Timestamp>())
             .set("error", error)
             .set("next_step", next_step),
         "destination_id = :id AND state = 'completed'", bound);
  update(tx_, "instances", Values().set("destination_id", std::string()), "destination_id = :id", bound);
  return lost;
}

std::map<std::string, std::int64_t> LostPlaces::forget(const std::string& service_id, core::Timestamp taken_before) {
  const auto bound = Values().set("service", service_id).set("before", taken_before);
  auto gone = count("destination_id", kTakenBefore, bound);
  if (!gone.empty()) Query(tx_, std::string("DELETE FROM backups WHERE ") + kTakenBefore).bind(bound).run();
  return gone;
}

std::map<std::string, std::int64_t> LostPlaces::count(const std::string& by, const std::string& where,
                                                      const Values& bound) {
  std::map<std::string, std::int64_t> counted;
  const auto rows =
      Query(tx_, "SELECT " + by + " AS id, COUNT(*) AS number FROM backups WHERE " + where + " GROUP BY " + by)
          .bind(bound)
          .list<std::pair<std::string, std::int64_t>>(
              [](const Row& row) { return std::pair(row.text("id"), row.integer("number")); });
  counted.insert(rows.begin(), rows.end());
  return counted;
}

}  // namespace backstay::metadata
