// What the state remembers of archives, for when their stores cannot be asked or are not what they were.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/time.h"
#include "metadata/database.h"
#include "model/recovery.h"

namespace backstay::control {

/// How fast something went.
struct MeasuredRate {
  std::uint64_t bytes = 0;
  core::Duration time{};
  core::Timestamp at{};
};

/// Thread-safe. Everything is durable when the call returns.
class ArchiveMemory {
 public:
  virtual ~ArchiveMemory() = default;
  /// The repository that a destination holds; nothing before one was made or first opened there.
  virtual std::optional<std::string> repository_id(const std::string& destination_id) = 0;
  /// The first one stays. Nothing happens if the destination is gone.
  virtual void remember_repository(const std::string& destination_id, const std::string& repository_id) = 0;
  /// The last that was remembered of an instance.
  virtual std::optional<model::RecoveryWindow> window(const std::string& instance_id) = 0;
  virtual void remember_window(const model::RecoveryWindow& window) = 0;
  /// How fast work of this name ("restore", "replay") went when it was measured last.
  virtual std::optional<MeasuredRate> rate(const std::string& work) = 0;
  virtual void remember_rate(const std::string& work, const MeasuredRate& rate) = 0;
};

class StateArchiveMemory final : public ArchiveMemory {
 public:
  /// The database must outlive it.
  explicit StateArchiveMemory(metadata::Database& database) : database_(database) {}
  std::optional<std::string> repository_id(const std::string& destination_id) override;
  void remember_repository(const std::string& destination_id, const std::string& repository_id) override;
  std::optional<model::RecoveryWindow> window(const std::string& instance_id) override;
  void remember_window(const model::RecoveryWindow& window) override;
  std::optional<MeasuredRate> rate(const std::string& work) override;
  void remember_rate(const std::string& work, const MeasuredRate& rate) override;

 private:
  metadata::Database& database_;
};

/// The name that an instance's last known window has among the settings.
std::string known_window_key(const std::string& instance_id);

}  // namespace backstay::control
