// When backups are verified without anybody asking: see model/verification_policy.h.
#pragma once

#include <cstdint>
#include <string>

#include "control/operation_queue.h"
#include "control/provider_registry.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/service.h"
#include "model/verification_policy.h"

namespace backstay::control {

/// The service is looked at soon: one of its backups was confirmed. One that waits keeps its place.
void hurry_verification(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now);

/// For one thread. Of the services that the server drives, the one that has waited for longest; nobody else while one
/// that it entered is open. What it knows is in the state.
class VerificationSchedule {
 public:
  /// All outlive it.
  VerificationSchedule(metadata::Database& database, const ProviderRegistry& providers, OperationQueue& queue,
                       core::Clock& clock, std::int64_t server, model::VerificationPolicy policy)
      : database_(database), providers_(providers), queue_(queue), clock_(clock), server_(server), policy_(policy) {}
  void tick();

 private:
  [[nodiscard]] static bool is_busy(metadata::Transaction& tx);
  /// True if its newest backup is being verified now.
  bool enter(metadata::Transaction& tx, const std::string& service_id, core::Timestamp now);
  bool is_verifiable(metadata::Transaction& tx, const model::Service& service, const model::Backup& backup);

  metadata::Database& database_;
  const ProviderRegistry& providers_;
  OperationQueue& queue_;
  core::Clock& clock_;
  const std::int64_t server_;
  const model::VerificationPolicy policy_;
};

}  // namespace backstay::control
