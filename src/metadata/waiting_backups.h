// How many backups of schedules have not begun yet.
#pragma once

#include <cstddef>
#include <cstdint>

#include "metadata/database.h"

namespace backstay::metadata {

struct WaitingBackups {
  std::size_t of_team = 0;
  std::size_t of_all = 0;
};

WaitingBackups count_waiting_scheduled(Transaction& tx, std::int64_t team_id);

}  // namespace backstay::metadata
