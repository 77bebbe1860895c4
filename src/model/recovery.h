// What can be reached in the past, and a request for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/time.h"
#include "model/secrets.h"

namespace backstay::model {

/// A span inside a window that cannot be reached, and why.
struct RecoveryGap {
  core::Timestamp from{};
  core::Timestamp to{};
  std::string reason{};
};

/// What one instance's archive at one destination can reach.
struct RecoveryWindow {
  std::string instance_id{};
  std::string destination_id{};
  std::optional<core::Timestamp> earliest{};
  std::optional<core::Timestamp> latest{};
  std::vector<RecoveryGap> gaps{};
  /// Why nothing is known of it now, such as a store that is away; empty if all is known.
  std::string problem{};
};

/// A request for a past state: of a backup, of a service at a time, or of a service at the latest time there is.
struct RecoverFrom {
  std::string backup_id{};
  std::string service_id{};
  std::optional<core::Timestamp> time{};
  core::json::object config{};
  Secrets secrets{};
};

/// True if the time lies in the window and in none of its gaps.
bool can_reach(const RecoveryWindow& window, core::Timestamp time);
/// What single states reach: themselves, and nothing between them.
RecoveryWindow window_of_states(std::vector<core::Timestamp> states, std::string_view reason);
/// The reachable times next to `time`, before and after it.
struct NearestTimes {
  std::optional<core::Timestamp> before{};
  std::optional<core::Timestamp> after{};
};
/// What several archives of one service reach together: between them lie gaps, and gaps that they tell of before and
/// after stay. Of no instance and no destination.
RecoveryWindow union_of(std::vector<RecoveryWindow> windows);
NearestTimes nearest_reachable(const RecoveryWindow& window, core::Timestamp time);

}  // namespace backstay::model
