// Which holes in an instance's archived WAL were made by something that took it away. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "repository/chain_survey.h"

namespace backstay::providers {

/// Judges from one look at the store to the next. Not thread-safe.
class HoleWatch {
 public:
  struct Verdict {
    /// WAL that was stored, or that is missing behind the newest backup.
    std::vector<repository::WalHole> lost = {};
    /// False while it is open whether some hole is only WAL on its way: the next look tells.
    bool is_sure = true;
  };
  Verdict judge(const repository::ChainSurvey& seen);

 private:
  /// Holes of which others tell: the window, where they were there before anybody looked, or the receiver.
  std::optional<std::vector<repository::WalHole>> known_ = {};
  /// The segment that was filling at the look before.
  std::uint64_t stored_to_ = 0;
};

/// True where recovery to the times after the hole must begin with it, since the newest backup is no help.
bool is_behind_newest(const repository::WalHole& hole, const repository::ChainSurvey& seen);

}  // namespace backstay::providers
