// When old backups are removed: once a day for each service with an archive, and soon after something made it useful.
#pragma once

#include <cstdint>
#include <string>

#include "control/operation_queue.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

inline constexpr auto kRetentionEvery = std::chrono::hours(24);

/// The service's turn is now.
void hurry_retention(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now);

/// For one thread. Enters the work of the services that the server drives, and of every repository.
class RetentionSchedule {
 public:
  /// All outlive it.
  RetentionSchedule(metadata::Database& database, OperationQueue& queue, core::Clock& clock, std::int64_t server)
      : database_(database), queue_(queue), clock_(clock), server_(server) {}
  void tick();

 private:
  void enter_service(metadata::Transaction& tx, const std::string& id, core::Timestamp now);
  void enter_destination(metadata::Transaction& tx, const std::string& id, core::Timestamp now);

  metadata::Database& database_;
  OperationQueue& queue_;
  core::Clock& clock_;
  const std::int64_t server_;
};

}  // namespace backstay::control
