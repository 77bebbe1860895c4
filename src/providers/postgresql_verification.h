// Backups of PostgreSQL services, restored to be looked at: where, as whom, and with how much of the machine.
//
// Each process has a directory of its own for the copies, which it holds a lock on: what a dead one left is ended and
// removed by whoever comes next.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "backup/environment.h"
#include "control/provider.h"
#include "os/file.h"
#include "providers/postgresql_instance.h"
#include "repository/repository.h"

namespace backstay::providers {

/// verify() is for one thread at a time: there is one copy.
class PostgresqlVerification {
 public:
  /// Begins to clear what dead processes left. The world outlives it.
  PostgresqlVerification(const PostgresqlWorld& world, const backup::Environment& environment);
  ~PostgresqlVerification();
  PostgresqlVerification(const PostgresqlVerification&) = delete;
  PostgresqlVerification& operator=(const PostgresqlVerification&) = delete;

  /// See control::Provider::verification_problem.
  [[nodiscard]] std::optional<std::string> problem(const model::Instance& instance, const model::Backup& backup) const;
  /// See control::Provider::verify_backup. Throws unavailable while the machine has too little memory to spare, and
  /// timeout once it has taken a day: others wait.
  control::VerifiedRestore verify(repository::Repository& repository, const control::ServiceBody& body,
                                  const model::Backup& backup, std::uint32_t uid, control::WorkContext& context);

 private:
  /// What cannot be cleared is logged, and tried again with the next verification. Thread-safe.
  void clear_left() noexcept;
  void clear_if_left(const std::filesystem::path& directory);
  /// The directory with its lock, made with the first verification.
  void take_place();
  void clear(const std::filesystem::path& directory);
  [[nodiscard]] control::InstancePlace place(const std::string& name, std::uint32_t uid) const;

  const PostgresqlWorld& world_;
  const backup::Environment environment_;
  const std::filesystem::path all_;
  const std::string name_;
  os::Descriptor lock_;
  std::jthread clearing_;
};

}  // namespace backstay::providers
