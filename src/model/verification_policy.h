// When a service's newest backup is restored to see that it works. No I/O, and no clock of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "model/backup.h"

namespace backstay::model {

struct VerificationPolicy {
  /// Since the last verification; zero: however long.
  core::Duration every = std::chrono::hours(24);
  /// Backups confirmed since the last verification; zero: however many.
  std::int64_t nth = 0;
};

/// An attempt that could not be made is repeated so much later.
inline constexpr auto kVerifyAgain = std::chrono::hours(1);

struct VerificationTurn {
  /// To be verified now; empty: nothing is.
  std::string backup_id{};
  /// When to ask again; absent: once another backup is confirmed.
  std::optional<core::Timestamp> next{};
};

/// Of all backups of one service: the newest confirmed physical one, when the policy says so, and else the newest dump,
/// by the same policy but once only. A service that was never verified has its turn at once, or, if only the count is
/// asked for, after so many.
VerificationTurn next_verification(const std::vector<Backup>& backups, const VerificationPolicy& policy,
                                   core::Timestamp now);

}  // namespace backstay::model
