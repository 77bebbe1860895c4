#include "core/error.h"
#include "postgres/replication_connection.h"

#include <fmt/format.h>

namespace backstay::postgres {

std::optional<SlotState> read_slot(Connection& connection, const std::string& slot) {
  const auto rows = connection.query(
      "SELECT active, restart_lsn, wal_status, safe_wal_size FROM pg_catalog.pg_replication_slots "
      "WHERE slot_name = $1",
      {slot});
  if (rows.empty()) return std::nullopt;
  SlotState state;
  state.active = rows.truth(0, 0);
  if (!rows.is_null(0, 1)) state.restart_lsn = parse_lsn(rows.text(0, 1));
  if (!rows.is_null(0, 2)) state.wal_status = rows.text(0, 2);
  if (!rows.is_null(0, 3)) state.safe_wal_size = rows.integer(0, 3);
  return state;
}

bool drop_slot(Connection& connection, const std::string& slot) {
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto rows =
        connection.query("SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", {slot});
    if (rows.empty()) return attempt > 0;
    if (rows.is_null(0, 0)) {
      connection.query("SELECT pg_catalog.pg_drop_replication_slot($1)", {slot});
      return true;
    }
    // The server waits, not we: its sender ends within moments.
    connection.query("SELECT pg_catalog.pg_terminate_backend($1::integer), pg_catalog.pg_sleep(0.05)",
                     {rows.text(0, 0)});
  }
  throw core::Error(core::Code::kConflict, fmt::format("the replication slot '{}' stays in use", slot));
}

}  // namespace backstay::postgres
