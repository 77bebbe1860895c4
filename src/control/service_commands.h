// What changes things: services, backups, recoveries, operations, teams, tokens, destinations.
//
// Called by every dialect; nothing of HTTP in here. A request is judged whole before anything is written: a refusal
// leaves no row behind and carries a JSON Pointer for each bad field. What takes longer is an operation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/admission.h"
#include "control/event_log.h"
#include "control/operation_queue.h"
#include "control/ports.h"
#include "control/precondition.h"
#include "control/preview.h"
#include "control/principal.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "control/requests.h"
#include "control/stores.h"
#include "control/token_access.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/destination.h"
#include "model/operation.h"
#include "model/service.h"
#include "model/team.h"

namespace backstay::control {

struct CommandConfig {
  PortRange ports{};
  /// Users of instances; first_uid 0: no users of their own (Backstay is not root).
  std::uint32_t first_uid = 0;
  std::uint32_t last_uid = 0;
  /// See EngineConfig.
  core::Duration rollback_grace = std::chrono::hours(24);
  /// How long a backup may be kept that is asked for as a temporary one.
  std::int64_t most_temporary_days = 14;
};

/// What the commands need; all outlive them.
struct CommandDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  OperationQueue& operations;
  StoreGate& stores;
  core::Clock& clock;
  core::Random& random;
};

/// The service as it is now and the operation that works on it.
struct ServiceChange {
  model::Service service;
  std::optional<model::Operation> operation;
};

/// A change of a service that may be made, and nothing of it written.
struct AdmittedChange {
  model::Service before{};
  model::Service after{};
  std::optional<NamedDestination> destination{};
  bool needs_work = false;
  /// In words.
  std::vector<std::string> changes{};
};

/// One that is written; begin() it after the commit.
struct WrittenChange {
  model::Service service{};
  std::optional<model::Operation> operation{};
  std::vector<std::string> cancelled{};
};

struct CreatedDestination {
  model::Destination destination;
  std::vector<ProbeCheck> checks;
};

/// Thread-safe. A service of a team that the principal does not see is not_found.
class ServiceCommands {
 public:
  ServiceCommands(CommandDependencies dependencies, CommandConfig config);

  /// recover_from makes the service from a past state; whether that can be reached is answered here
  /// (recovery_out_of_reach names the nearest times), before anything is written. What it will do stands in the
  /// operation's request under "forecast".
  ServiceChange create_service(const CreateServiceRequest& request, const Principal& principal,
                               Effect effect = Effect::kLasting);
  /// The same with everything but the state taken from the service that is recovered; see candidate_commands.cpp. The
  /// operation is the recovery. Into a candidate or in place needs a service that is not deleted; in place the
  /// permission to recover in place, and the recovery's result names the operation that switches ("switchOperationId").
  ServiceChange recover_service(const RecoverServiceRequest& request, const Principal& principal,
                                Effect effect = Effect::kLasting);
  /// Lets the service go on with the data of a candidate or of an instance that it had before, under its own id, name,
  /// port and passwords; see switch_commands.cpp. conflict, with the reason, for what is not ready.
  ServiceChange switch_service(const std::string& id, const SwitchRequest& request, const Principal& principal);
  Preview preview_switch(const std::string& id, const SwitchRequest& request, const Principal& principal);
  /// No operation if nothing changes but the name.
  ServiceChange update_service(const std::string& id, const UpdateServiceRequest& request, const Principal& principal);
  /// The three parts of turning backups on together with what needs them: what is to change (nothing where they are on;
  /// conflict where the service is paused or nothing says where they would go), its writing, and what follows the
  /// commit.
  std::optional<AdmittedChange> admit_backups_on(const model::Service& service,
                                                 const std::optional<std::string>& destination_id,
                                                 const Principal& principal);
  WrittenChange write_change(metadata::Transaction& tx, const AdmittedChange& change);
  void begin(const WrittenChange& written);
  /// With backups on, after a final backup; undelete_service brings it back until its record expires.
  ServiceChange delete_service(const std::string& id, FinalBackup final_backup, const Principal& principal);
  /// What these two would do; they refuse what the two refuse.
  Preview preview_update(const std::string& id, const UpdateServiceRequest& request, const Principal& principal);
  Preview preview_deletion(const std::string& id, FinalBackup final_backup, const Principal& principal);
  /// A service whose data is still there goes on; else its data is recovered, up to its last write, as a new instance
  /// of the same service. conflict while the deletion runs, for a service that is not deleted, or whose backups were
  /// off.
  ServiceChange undelete_service(const std::string& id, const Principal& principal);
  /// Ends the server within seconds, after a checkpoint, and starts it again; one that waits already is answered.
  /// conflict for a service that is paused or not made yet, not_supported for what a backend elsewhere runs.
  ServiceChange restart_service(const std::string& id, const Principal& principal);
  /// conflict if backups are off and no destination is named; not_supported with the reason where no logical one can be
  /// taken, or no other destination than the service's first can be used.
  model::Backup schedule_backup(const std::string& service_id, const Principal& principal,
                                const TakeBackupRequest& request = {});

  /// conflict for one that is being deleted.
  model::Backup change_backup(const std::string& id, const ChangeBackupRequest& request, const Principal& principal,
                              const Precondition<model::Backup>& precondition = {});
  /// conflict, with the reason, for one that must stay (model::deletion_obstacle). It is hidden in its store soon and
  /// removed a grace later. One that is being deleted already is answered as it is.
  model::Backup delete_backup(const std::string& id, const Principal& principal, Effect effect = Effect::kLasting,
                              const BackupDeletion& which = {}, const Precondition<model::Backup>& precondition = {});

  /// Asks a queued or running operation to stop; conflict if it has ended or cannot be cancelled.
  model::Operation cancel_operation(const std::string& id, const Principal& principal);

  model::Team create_team(const CreateTeamRequest& request, const Principal& principal);
  /// An administrator's token is nobody's; what a person makes who has logged in is theirs, allows no more than they
  /// may, and ends with their account.
  CreatedToken create_token(const CreateTokenRequest& request, const Principal& principal);
  /// The same token with another text; the text before works on for the overlap, unless the token ends.
  CreatedToken rotate_token(const std::string& id, core::Duration overlap, std::string_view prefix,
                            const Principal& principal);
  /// Anybody's for an administrator; their own for a person who has logged in.
  Preview delete_token(const std::string& id, const Principal& principal, Effect effect = Effect::kLasting);
  /// The principal of a token's text; nothing if it is unknown or expired.
  std::optional<Principal> authenticate(std::string_view token_text);
  /// At first start: the team "default" if there is none, and the first admin token. Nothing if there are tokens.
  std::optional<core::Secret> bootstrap();

  /// Probes the store first; only what is essential refuses it.
  CreatedDestination create_destination(const CreateDestinationRequest& request, const Principal& principal);
  /// Probes the store before anything is saved. conflict for another place while backups lie in this one.
  CreatedDestination update_destination(const std::string& id, const UpdateDestinationRequest& request,
                                        const Principal& principal,
                                        const Precondition<model::Destination>& precondition = {});
  /// conflict while something needs it, naming what.
  Preview delete_destination(const std::string& id, const Principal& principal, Effect effect = Effect::kLasting,
                             const Precondition<model::Destination>& precondition = {});
  /// What admission found or probed, for the other commands.
  void write_destination(metadata::Transaction& tx, const NamedDestination& named, std::int64_t team_id);
  /// Gives a destination up for ever, with the parts that teams have of it: its backups are lost, nothing asks it any
  /// more. For administrators. `name` is its name, to be sure. conflict while backups go there.
  Preview lose_destination(const std::string& id, const std::string& name, const Principal& principal,
                           Effect effect = Effect::kLasting);
  /// The recovery kit of a team, as text; remembers that it was fetched.
  std::string export_recovery_kit(std::int64_t team_id, const Principal& principal);

 private:
  AdmittedChange admit_change(const model::Service& before, const UpdateServiceRequest& request);
  /// The events of what needs no work.
  void tell_settings(metadata::Transaction& tx, const model::Service& before, const model::Service& service);
  /// What of plan, config, secrets and backups differs, in words.
  Preview setting_changes(const model::Service& before, const model::Service& after);
  void tell_change(metadata::Transaction& tx, const model::Backup& before, const model::Backup& after);
  model::Backup require_backup(metadata::Transaction& tx, const std::string& id, const Principal& principal);
  /// Where a backup goes whose destination is named, or whose service has none; nothing for one that follows the
  /// service's WAL.
  std::optional<NamedDestination> place_for(const model::Service& service, const TakeBackupRequest& request);
  /// One that the principal may change.
  model::Destination require_destination(const std::string& id, const Principal& principal);
  /// Throws Error(conflict) if `after` is another place and backups lie in the one before.
  void require_may_move(const model::Destination& before, const model::Destination& after);
  /// What the teams have of an operator's place that has changed.
  static void update_parts(metadata::Transaction& tx, const model::Destination& before,
                           const model::Destination& after);
  /// What a new service is besides what was asked for.
  struct Making {
    std::string candidate_of{};
    bool then_switch = false;
  };
  ServiceChange make_service(const CreateServiceRequest& request, const Making& making, const Principal& principal,
                             Effect effect);
  /// How many backups are lost with it, by service.
  std::map<std::string, std::int64_t> lose_place(metadata::Transaction& tx, model::Destination place);
  /// Where clients will find the service once it runs: its maker need not wait to write it down.
  void tell_where(metadata::Transaction& tx, model::Service& service, const std::string& instance_id);
  void write_new_instance(metadata::Transaction& tx, const model::Service& service, const std::string& instance_id);
  /// Cancels the service's open operations of these kinds; returns the ids, to be told to workers after the commit.
  std::vector<std::string> cancel_open(metadata::Transaction& tx, const std::string& service_id,
                                       const std::set<std::string_view>& kinds);
  /// Notes that a token was used, if the state can be written.
  void touch(const std::string& token_id, core::Timestamp now);
  /// The data of the service is still there.
  model::Operation keep_undeleted(model::Service& service, const Principal& principal);
  model::Operation recover_deleted(model::Service& service, const Principal& principal);
  model::Operation begin_undelete(metadata::Transaction& tx, const Principal& principal, model::Service& service,
                                  model::ServiceState state, std::string_view kind, const std::string& instance_id,
                                  core::json::object request, model::Secrets secrets);
  void request_cancel(metadata::Transaction& tx, const model::Operation& operation);
  model::Service require_service(const std::string& id, const Principal& principal);
  /// Throws Error(conflict) for a service that is gone but for its record, or protected.
  static void require_deletable(const model::Service& service);
  /// The kinds of work that a deletion of the service ends.
  [[nodiscard]] std::set<std::string_view> ended_by_deletion(const model::Service& service) const;
  /// Throws Error(conflict) for a service that cannot be changed any more.
  void require_changeable(const model::Service& service);

  CommandDependencies deps_;
  CommandConfig config_;
  EventLog events_;
  Admission admission_;
};

}  // namespace backstay::control
