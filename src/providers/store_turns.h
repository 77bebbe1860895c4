// Who may wait for a store while a client waits for the answer. A store that does not answer then holds neither all of
// the server's workers nor those of other teams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "core/mutex.h"

namespace backstay::providers {

/// Thread-safe. Work of operations has threads of its own and takes no turn.
class StoreTurns {
 public:
  struct Limits {
    std::size_t of_team = 2;
    std::size_t of_all = 4;
    /// Of these, how many only a team gets that holds none.
    std::size_t for_first = 0;
  };
  /// Held while the store is asked.
  class Turn {
   public:
    Turn(StoreTurns& turns, std::int64_t team_id) : turns_(&turns), team_id_(team_id) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), team_id_(other.team_id_) {}
    Turn& operator=(Turn&&) = delete;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->give_back(team_id_);
    }

   private:
    StoreTurns* turns_;
    std::int64_t team_id_;
  };

  explicit StoreTurns(Limits limits) : limits_(limits) {}

  /// Nothing if the team, or all teams together, hold as many as they may.
  std::optional<Turn> try_take(std::int64_t team_id);
  /// The same, with Error(unavailable) for nothing.
  Turn take(std::int64_t team_id);

 private:
  void give_back(std::int64_t team_id);

  const Limits limits_;
  core::Mutex mutex_;
  std::map<std::int64_t, std::size_t> taken_ GUARDED_BY(mutex_);
  std::size_t all_ GUARDED_BY(mutex_) = 0;
};

}  // namespace backstay::providers
