// Where the past states of a service lie: the archives of every instance that it has pointed to.
#pragma once

#include <optional>
#include <vector>

#include "control/provider.h"
#include "control/provider_registry.h"
#include "metadata/database.h"
#include "model/recovery.h"

namespace backstay::control {

/// One instance's archive at one destination.
struct RecoveryPlace {
  /// The service, the instance, and the destination as where its archive is; no more of it.
  ServiceBody body;
  /// Of backups that stand alone there: when each was taken. Nothing where the WAL between them is, or may be.
  std::optional<std::vector<core::Timestamp>> states{};
};

/// The newest instance first, and of each where its archive goes now before where it went. With `elsewhere`, every
/// instance's archive there instead. Destinations that are gone are left out.
std::vector<RecoveryPlace> recovery_places(metadata::Transaction& tx, const model::Service& service,
                                           const std::optional<model::Destination>& elsewhere = std::nullopt);

/// Where the backup lies. Throws Error(not_found) if its instance or destination is not known any more.
RecoveryPlace place_of_backup(metadata::Transaction& tx, const model::Service& service, const model::Backup& backup,
                              const std::optional<model::Destination>& elsewhere = std::nullopt);

/// What the place reaches of the service: its archive's window, as far as the service pointed at the instance.
model::RecoveryWindow window_of(const ProviderRegistry& providers, const RecoveryPlace& place);

/// The place that holds the state of the time, or without one the latest state that there is. Throws
/// Error(recovery_out_of_reach) that names the nearest times; for what only the provider can judge, such as a time that
/// has just passed, it is the place that it is asked of. `places` is not empty.
RecoveryPlace choose_place(const ProviderRegistry& providers, const std::vector<RecoveryPlace>& places,
                           const std::optional<core::Timestamp>& time);

}  // namespace backstay::control
