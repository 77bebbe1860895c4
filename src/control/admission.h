// Judges requests for services: from what was asked to what is wanted, or to a refusal. Writes nothing.
#pragma once

#include <optional>
#include <string>

#include "control/principal.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "control/recovery_places.h"
#include "control/requests.h"
#include "control/stores.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/service.h"

namespace backstay::control {

class Refusals;

/// What admission needs; all outlive it.
struct AdmissionDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  StoreGate& stores;
  core::Clock& clock;
  core::Random& random;
};

/// A destination that a request names, found or new; a new one has been probed and is not written yet.
struct NamedDestination {
  model::Destination destination;
  /// To be inserted (new) or updated (other keys for a known place).
  bool is_new = false;
  bool is_changed = false;
};

/// A service as it will be, with what has to be written beside it.
struct AdmittedService {
  model::Service service;
  std::optional<NamedDestination> destination;
};

/// Where a recovery comes from and what it will do.
struct AdmittedRecovery {
  BackupTarget from;
  RecoveryPlan plan;
  core::json::object recovered_from;
};

class Admission {
 public:
  explicit Admission(AdmissionDependencies dependencies) : deps_(dependencies) {}

  AdmittedService create(const CreateServiceRequest& request, const Principal& principal);
  AdmittedService update(const model::Service& before, const UpdateServiceRequest& request);
  AdmittedRecovery recover(const RecoverRequest& request, const model::Service& wanted, const Principal& principal);

  /// A place with what was seen of it. A refusal names /config and /secrets. Throws Error(already_exists) for one that
  /// the team has.
  std::pair<model::Destination, std::vector<ProbeCheck>> probe_new(std::int64_t team_id,
                                                                   const core::json::object& config,
                                                                   const model::Secrets& secrets);
  /// The same for one that is entered already and changes.
  std::vector<ProbeCheck> probe_again(const model::Destination& changed);
  /// Where in the operator's place a team has its part.
  static std::string part_url(const std::string& url, std::int64_t team_id);
  /// Finds the place or probes it. `config` may be {"destinationId"}.
  NamedDestination resolve_destination(std::int64_t team_id, const core::json::object& config,
                                       const model::Secrets& secrets, std::string_view pointer);
  /// The destination with this id, the operator's as the team's part of it. A refusal names `field`.
  NamedDestination destination_of(std::int64_t team_id, const std::string& id, std::string_view field);
  /// What is used where nothing is named; nothing if nobody named a default.
  std::optional<NamedDestination> default_destination(std::int64_t team_id, std::string_view pointer);
  /// True if there is one, which need not be in reach.
  bool has_default(std::int64_t team_id);

 private:
  struct Source;
  /// Of the team that wants it; what belongs to another one is not there.
  Source find_source(const RecoverRequest& request, std::int64_t team_id, const Principal& principal);
  /// Where a backend elsewhere holds the backups.
  AdmittedRecovery recover_remote(const RecoverRequest& request, const Source& source, const model::Service& wanted);
  /// Where the request says that the backups are; nothing if it does not.
  std::optional<model::Destination> named_place(const RecoverRequest& request, const model::Service& source,
                                                const model::Service& wanted);
  std::vector<RecoveryPlace> places_of(const Source& source, const std::optional<model::Destination>& elsewhere);
  AdmittedRecovery plan_at(const RecoverRequest& request, const Source& source, const RecoveryPlace& place,
                           const model::Service& wanted);
  AdmittedRecovery plan(const RecoverRequest& request, const RecoveryQuestion& question, const model::Service& wanted);
  /// Adds what control knows to the warnings of a plan.
  void warn(RecoveryPlan& plan, const model::Service& wanted);
  /// The backups that the service will have, and what is wrong with them.
  void judge_backups(model::Service& service, const BackupsRequest& request, const model::ProviderDefinition& offer,
                     Refusals& refusals);
  bool is_lost(const std::string& destination_id);
  /// Finds or probes where they go, once nothing is wrong.
  void place_backups(const model::BackupSettings& before, const BackupsRequest& request, AdmittedService& admitted);
  /// One repository belongs to one team: in the operator's place each team has a part of its own.
  NamedDestination part_of_team(model::Destination place, std::int64_t team_id, std::string_view pointer);
  /// The team's destination of this place, found or probed.
  NamedDestination named(std::int64_t team_id, model::Destination wanted, std::string_view pointer);
  model::Destination find_destination(std::int64_t team_id, const std::string& id, std::string_view field);
  /// What config and secrets below `pointer` name, judged without a look at it.
  model::Destination check_store(const core::json::object& config, const model::Secrets& secrets,
                                 std::string_view pointer);
  void judge_store(const model::Destination& destination, std::string_view pointer);
  std::vector<ProbeCheck> probe(const model::Destination& destination, std::string_view pointer);

  AdmissionDependencies deps_;
};

}  // namespace backstay::control
