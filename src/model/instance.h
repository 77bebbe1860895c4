// An instance: one body of data behind a service, with its own directory and its own archive prefix.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/time.h"

namespace backstay::model {

/// kPreparing: being made or recovered, never shown to clients. kServing: the service points at it or may.
/// kStopped: kept, not running. kFailed: making it failed; its data may be removed. kRemoved: data gone (terminal).
enum class InstanceState { kPreparing, kServing, kStopped, kFailed, kRemoved };

std::string_view to_text(InstanceState state);
InstanceState instance_state_from_text(std::string_view text);

/// The point of another instance's history where this one begins.
struct BranchPoint {
  std::string instance_id{};
  std::uint32_t timeline = 0;
  std::uint64_t lsn = 0;
  friend bool operator==(const BranchPoint&, const BranchPoint&) = default;
};

/// A time in which a service pointed at an instance, which is over.
struct ServedSpan {
  core::Timestamp from{};
  core::Timestamp until{};
  friend bool operator==(const ServedSpan&, const ServedSpan&) = default;
};

struct Instance {
  std::string id{};
  std::string service_id{};
  std::string node = "local";
  InstanceState state = InstanceState::kPreparing;
  /// Name of its directory below the node's services directory.
  std::string directory{};
  std::uint16_t port = 0;
  /// The user that it runs under; 0 where Backstay is not root.
  std::uint32_t uid = 0;
  /// PostgreSQL's major version, identity and current timeline; 0 until known.
  int engine_major = 0;
  std::uint64_t system_id = 0;
  std::uint32_t timeline = 0;
  /// Where its WAL and backups go; empty without backups. Its prefix there is instances/<id>.
  std::string destination_id{};
  std::optional<BranchPoint> branched_from{};
  /// When the service pointed at it; "until" is open while it still does.
  std::optional<core::Timestamp> served_from{};
  std::optional<core::Timestamp> served_until{};
  /// The times before, oldest first, of one that was switched back to.
  std::vector<ServedSpan> served_before{};
  /// Another instance took its place, and its data is kept so long, for switching back.
  std::optional<core::Timestamp> kept_until{};
  /// Something that it wrote before another one took its place is not in the store yet.
  bool unsent = false;
  /// Epoch of the lease that its companions were last started with.
  std::int64_t epoch = 0;
  /// What the provider wants to remember about it.
  core::json::object facts{};
  core::Timestamp created_at{};
};

}  // namespace backstay::model
