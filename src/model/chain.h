// How the chain of backups and WAL of one instance stands: what stands in the way of reaching every time.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace backstay::model {

enum class ChainFault { kGap, kSlotStalled, kTimelineDiverged, kObjectMissing, kClockDrift };
inline constexpr std::array kChainFaults{ChainFault::kGap, ChainFault::kSlotStalled, ChainFault::kTimelineDiverged,
                                         ChainFault::kObjectMissing, ChainFault::kClockDrift};

constexpr std::string_view to_text(ChainFault fault) {
  switch (fault) {
    case ChainFault::kGap: return "gap";
    case ChainFault::kSlotStalled: return "slotStalled";
    case ChainFault::kTimelineDiverged: return "timelineDiverged";
    case ChainFault::kObjectMissing: return "objectMissing";
    case ChainFault::kClockDrift: return "clockDrift";
  }
  return "";
}

struct ChainProblem {
  ChainFault fault = ChainFault::kGap;
  /// In words: what, where, and what it means.
  std::string reason{};
  core::Timestamp since{};
  /// A new backup mends it.
  bool needs_backup = false;
};

struct ChainReport {
  /// When store and server were looked at last; nothing before the first look.
  std::optional<core::Timestamp> checked_at{};
  /// At most one of each fault, in the order above.
  std::vector<ChainProblem> problems{};
  /// The store's clock minus this machine's; nothing where the store tells no time.
  std::optional<core::Duration> store_clock_offset{};
};

}  // namespace backstay::model
