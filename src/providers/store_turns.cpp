#include "providers/store_turns.h"

#include "core/error.h"

namespace backstay::providers {

std::optional<StoreTurns::Turn> StoreTurns::try_take(std::int64_t team_id) {
  const core::LockGuard lock(mutex_);
  const auto found = taken_.find(team_id);
  const bool holds_one = found != taken_.end();
  if (holds_one && found->second >= limits_.of_team) return std::nullopt;
  if (all_ + (holds_one ? limits_.for_first : 0) >= limits_.of_all) return std::nullopt;
  ++taken_[team_id];
  ++all_;
  return std::optional<Turn>(std::in_place, *this, team_id);
}

StoreTurns::Turn StoreTurns::take(std::int64_t team_id) {
  if (auto turn = try_take(team_id)) return std::move(*turn);
  throw core::Error(core::Code::kUnavailable, "too many requests are waiting for stores already")
      .with_hint("try again in a few seconds; if it stays, a store among those that are asked does not answer");
}

void StoreTurns::give_back(std::int64_t team_id) {
  const core::LockGuard lock(mutex_);
  --all_;
  if (--taken_[team_id] == 0) taken_.erase(team_id);
}

}  // namespace backstay::providers
