// Where a restored copy lies and runs while it is looked at.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>

#include "backup/verify_restore.h"
#include "core/error.h"
#include "postgres/server.h"
#include "postgres/server_config.h"

namespace backstay::backup {

/// True if the error says something of the backup, and not of the store, the machine or this program.
bool is_finding(const core::Error& error);

/// The copy is thrown away, so that nothing has to be safe from a crash and nothing tidied; a tenant's trigger must not
/// run in our sessions.
class ThrowawayLauncher final : public postgres::Launcher {
 public:
  ThrowawayLauncher(postgres::Launcher& inner, int major) : inner_(inner), major_(major) {}
  os::ProcessId start(const postgres::ServerSpec& spec) override;

 private:
  postgres::Launcher& inner_;
  const int major_;
};

/// Room on the disk and a server in it. When it goes the server is ended and nothing is left. `environment` and
/// `request` outlive it. For one thread.
class VerificationSite {
 public:
  /// Throws disk_full unless so many bytes fit, and what a server writes by itself.
  VerificationSite(const Environment& environment, const VerifyRestoreRequest& request, std::uint64_t bytes);
  ~VerificationSite();
  VerificationSite(const VerificationSite&) = delete;
  VerificationSite& operator=(const VerificationSite&) = delete;

  [[nodiscard]] const postgres::InstancePaths& paths() const { return paths_; }
  [[nodiscard]] postgres::Server& server() { return server_; }
  [[nodiscard]] postgres::Launcher& launcher() { return launcher_; }

  /// Starts the server for nobody but us, and waits until it is ready.
  void start_closed(const postgres::ReplayLimits& limits, const std::stop_token& stop);
  /// Throws disk_full when the reserve is touched. `written`: how many of the bytes are there.
  void check_room(std::uint64_t written);
  /// Nothing if the error says something of the backup; else what is to be thrown. `has_answered`: the server has been
  /// seen to work.
  [[nodiscard]] std::optional<core::Error> reason_not_known(const core::Error& error, bool has_answered) const;

 private:
  const Environment& environment_;
  const VerifyRestoreRequest& request_;
  const std::uint64_t expected_;
  ScratchDirectory scratch_;
  const postgres::InstancePaths paths_;
  postgres::Server server_;
  ThrowawayLauncher launcher_;
};

}  // namespace backstay::backup
