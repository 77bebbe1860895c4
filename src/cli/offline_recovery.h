// Recovering from a repository alone: what `pg recover` and `repository restore` share.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/recovery_window.h"
#include "cli/repository_access.h"
#include "core/json.h"

namespace CLI {
class App;
}

namespace backstay::cli {

/// The target as options: --target-time, --target-latest or --backup.
struct TargetOptions {
  std::string time;
  bool latest = false;
  std::string backup;

  void add_to(CLI::App& command);
  /// Throws Error(invalid_argument) unless exactly one is given; the latest if `or_latest` and none is.
  [[nodiscard]] backup::RecoveryTarget target(bool or_latest) const;
};

/// How the recovered server is to run.
struct RecoveredServerOptions {
  std::filesystem::path directory;
  std::string run_as;
  std::filesystem::path postgres_bin;
  std::filesystem::path restore_helper;
  bool start = false;
  std::uint16_t port = 5432;

  void add_to(CLI::App& command);
};

/// What was done, for the output.
struct OfflineResult {
  core::json::object json;
  std::string text;
};

/// Restores, replays, promotes; leaves the server stopped, or running on localhost if asked.
OfflineResult recover_offline(LocalWorld& world, repository::Repository& repository, const backup::RecoveryPlan& plan,
                              const RecoveredServerOptions& options, std::stop_token stop);

/// Restores the files and lays the WAL beside them with recovery settings, so that starting any server on `data`
/// replays to the target by itself.
OfflineResult restore_offline(LocalWorld& world, repository::Repository& repository, const backup::RecoveryPlan& plan,
                              const RecoveredServerOptions& options, std::stop_token stop);

core::json::object plan_to_json(const backup::RecoveryPlan& plan);

}  // namespace backstay::cli
