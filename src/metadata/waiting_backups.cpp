#include "metadata/waiting_backups.h"

#include "metadata/query.h"

namespace backstay::metadata {

WaitingBackups count_waiting_scheduled(Transaction& tx, std::int64_t team_id) {
  WaitingBackups waiting;
  // The state stands in the text so that the index of just these can be used.
  Query(tx,
        "SELECT team_id, COUNT(*) AS number FROM backups WHERE state = 'scheduled' AND origin = 'scheduled' "
        "GROUP BY team_id")
      .each([&](const Row& row) {
        const auto number = static_cast<std::size_t>(row.integer("number"));
        waiting.of_all += number;
        if (row.integer("team_id") == team_id) waiting.of_team = number;
      });
  return waiting;
}

}  // namespace backstay::metadata
