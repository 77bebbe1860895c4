#include "backup/recovery_state.h"

#include <array>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"

namespace backstay::backup {
namespace {

constexpr std::array<std::string_view, 4> kPhases = {"restore", "replay", "hand_over", "done"};
constexpr mode_t kFileMode = 0600;

std::filesystem::path state_path(const std::filesystem::path& root) { return root / "recovery.json"; }

RecoveryPhase parse_phase(const std::string& name) {
  for (std::size_t i = 0; i < kPhases.size(); ++i) {
    if (kPhases.at(i) == name) return static_cast<RecoveryPhase>(i);
  }
  throw core::Error(core::Code::kCorruptData, fmt::format("'{}' is not a phase of a recovery", name));
}

}  // namespace

std::string plan_identity(const RecoveryPlan& plan) {
  return fmt::format("{}/{} timeline {} {} {}", plan.instance, plan.base.backup, plan.timeline.value,
                     plan.stop.immediate   ? "to"
                     : plan.stop.inclusive ? "through"
                                           : "before",
                     postgres::format_lsn(plan.stop.lsn));
}

std::optional<RecoveryState> load_recovery_state(os::FileSystem& files, const std::filesystem::path& root) {
  const auto path = state_path(root);
  if (!files.stat(path)) return std::nullopt;
  const auto bytes = files.read_file(path);
  const core::json::value value = core::parse_json(core::as_text(bytes));
  const core::json::object& object = core::as_object(value);
  RecoveryState state;
  state.plan = core::require_string(object, "plan");
  state.phase = parse_phase(core::require_string(object, "phase"));
  state.result.timeline = {static_cast<std::uint32_t>(core::require_int(object, "timeline"))};
  state.result.lsn = postgres::parse_lsn(core::require_string(object, "lsn"));
  state.result.file_bytes = static_cast<std::uint64_t>(core::require_int(object, "fileBytes"));
  state.result.wal_bytes = static_cast<std::uint64_t>(core::require_int(object, "walBytes"));
  state.result.restore_time = core::Duration(core::require_int(object, "restoreMicroseconds"));
  state.result.replay_time = core::Duration(core::require_int(object, "replayMicroseconds"));
  return state;
}

void save_recovery_state(os::FileSystem& files, const std::filesystem::path& root, const RecoveryState& state) {
  const core::json::object object = {{"plan", state.plan},
                                     {"phase", kPhases.at(static_cast<std::size_t>(state.phase))},
                                     {"timeline", state.result.timeline.value},
                                     {"lsn", postgres::format_lsn(state.result.lsn)},
                                     {"fileBytes", state.result.file_bytes},
                                     {"walBytes", state.result.wal_bytes},
                                     {"restoreMicroseconds", state.result.restore_time.count()},
                                     {"replayMicroseconds", state.result.replay_time.count()}};
  files.write_file_durably(state_path(root), core::as_bytes(core::to_pretty_text(object) + "\n"), kFileMode);
}

}  // namespace backstay::backup
