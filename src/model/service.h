// A service: the thing a team deployed. Desired state comes from its owner, status from the reconciler.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/time.h"
#include "model/labels.h"
#include "model/secrets.h"

namespace backstay::model {

enum class ServiceState {
  kCreating,
  kUpdating,
  kDeleted,
  kDeleting,
  kPausing,
  kUnpausing,
  kPaused,
  kSynchronized,
  kUnknown,
  kInvalidProvider
};

/// The word of the house API, e.g. "invalid provider".
std::string_view to_text(ServiceState state);
/// Throws Error(invalid_argument) for a word that is no state.
ServiceState service_state_from_text(std::string_view text);
/// True if a service may go from one state to the other. Staying is always allowed.
bool may_change(ServiceState from, ServiceState to);

/// Throws Error(invalid_argument) with the field /name unless the name fits the house API's pattern; of the white space
/// that the pattern allows inside, only the space: a name with a line break in it would lie in every list and log.
void check_service_name(std::string_view name);

/// The offer of the catalogue that the service was made from, in the words the client used.
struct ProviderReference {
  std::string name{};     ///< "postgresql" or "postgres"
  std::string version{};  ///< the schema version: "15" or "v1"
  std::string kind{};     ///< which backend runs it: "postgresql"
  friend bool operator==(const ProviderReference&, const ProviderReference&) = default;
};

struct ServicePlan {
  std::int64_t id = 0;
  /// What the owner may set, in the units of the offer (storage in GB or MiB); this is what the API shows.
  std::map<std::string, std::int64_t> parameters{};
  /// Everything the plan grants, in canonical units: "cpu" tenths of a core, "memory" MiB, "storage" MiB,
  /// "connections".
  std::map<std::string, std::int64_t> resources{};
  friend bool operator==(const ServicePlan&, const ServicePlan&) = default;
};

struct BackupSettings {
  bool enabled = false;
  std::int64_t interval_h = 24;
  std::int64_t retention_days = 7;
  core::json::object config{};
  Secrets secrets{};
  /// The destination that config and secrets were resolved to; empty if none was ever named.
  std::string destination_id{};
  /// When backups were last switched on; the schedule starts there.
  std::optional<core::Timestamp> enabled_at{};
};

/// Written by the reconciler only.
struct ServiceStatus {
  ServiceState state = ServiceState::kCreating;
  /// The generation of the desired state that the status speaks of.
  std::int64_t observed_generation = 0;
  /// The instance that serves; empty until there is one.
  std::string instance_id{};
  /// What the provider tells clients: hostname, port, dsn, ready...
  core::json::object details{};
  /// Why the state is what it is, and what to do next, in words; empty when all is well.
  std::string reason{};
  std::string next_step{};
  std::string last_error{};
};

struct Service {
  std::string id{};
  std::int64_t team_id = 0;
  std::string name{};
  ProviderReference provider{};
  ServicePlan plan{};
  core::json::object config{};
  Secrets secrets{};
  BackupSettings backups{};
  bool pause = false;
  /// A deletion is refused until this is taken back.
  bool deletion_protection = false;
  Labels labels{};
  /// The application version that was asked for with "version"; empty if none.
  std::string app_version{};
  /// Where its first data came from: {"backupId"} or {"serviceId","time"}; empty for a service that began empty.
  core::json::object recovered_from{};
  /// The service whose past state it holds, ready to take its place; empty for all others.
  std::string candidate_of{};
  /// Rises by one with each change of the desired state.
  std::int64_t generation = 1;
  /// When the owner asked for deletion, when the data was gone, and when the record itself goes.
  std::optional<core::Timestamp> delete_requested_at{};
  std::optional<core::Timestamp> deleted_at{};
  std::optional<core::Timestamp> expires_at{};
  core::Timestamp created_at{};
  core::Timestamp updated_at{};
  ServiceStatus status{};
};

}  // namespace backstay::model
