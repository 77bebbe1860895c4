// How far a recovery is, on disk beside the instance.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "backup/recover.h"
#include "os/file_system.h"

namespace backstay::backup {

enum class RecoveryPhase { kRestore, kReplay, kHandOver, kDone };

struct RecoveryState {
  /// What is being recovered; see plan_identity.
  std::string plan;
  RecoveryPhase phase = RecoveryPhase::kRestore;
  RecoverResult result;
};

/// A text that is the same for the same plan only.
std::string plan_identity(const RecoveryPlan& plan);

/// Nothing if no recovery was begun here.
std::optional<RecoveryState> load_recovery_state(os::FileSystem& files, const std::filesystem::path& root);
/// Durable on return.
void save_recovery_state(os::FileSystem& files, const std::filesystem::path& root, const RecoveryState& state);

}  // namespace backstay::backup
