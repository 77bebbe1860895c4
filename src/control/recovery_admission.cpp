// A recovery is judged before anything is written: what it comes from, and whether the state can be reached.
#include "control/admission.h"
#include "control/recovery_places.h"
#include "control/tier_rules.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

[[noreturn]] void refuse(std::string pointer, const std::string& message) {
  throw core::Error(core::Code::kInvalidArgument, message).with_field(std::move(pointer), message);
}

}  // namespace

struct Admission::Source {
  model::Service service;
  std::optional<model::Backup> backup;
};

Admission::Source Admission::find_source(const RecoverRequest& request, std::int64_t team_id,
                                         const Principal& principal) {
  const auto usable = [&](std::int64_t team) { return team == team_id && principal.sees_team(team); };
  if (request.backup_id.has_value() == request.service_id.has_value()) {
    refuse("/recoverFrom", "needs either 'id' (of a backup) or 'msId' with 'time'");
  }
  if (request.backup_id && request.time) refuse("/recoverFrom/time", "goes with 'msId', not with the 'id' of a backup");
  return deps_.database.read([&](auto& tx) {
    Source source;
    if (request.backup_id) {
      source.backup = metadata::Backups(tx).find(*request.backup_id);
      if (!source.backup || !usable(source.backup->team_id)) {
        refuse("/recoverFrom/id", fmt::format("there is no backup '{}'", *request.backup_id));
      }
    }
    const auto& service_id = source.backup ? source.backup->service_id : *request.service_id;
    const auto service = metadata::Services(tx).find(service_id);
    if (!service || !usable(service->team_id)) {
      refuse("/recoverFrom/msId", fmt::format("there is no service '{}'", service_id));
    }
    source.service = *service;
    return source;
  });
}

AdmittedRecovery Admission::recover(const RecoverRequest& request, const model::Service& wanted,
                                    const Principal& principal) {
  const auto source = find_source(request, wanted.team_id, principal);
  if (source.service.provider.kind != wanted.provider.kind) {
    refuse("/provider/name", fmt::format("the source is a service of '{}'", source.service.provider.name));
  }
  if (request.time) require_granted_time(source.service, *request.time, deps_.clock.now());
  if (source.backup && source.backup->state == model::BackupState::kDeleting) {
    throw core::Error(core::Code::kRecoveryOutOfReach, fmt::format("the backup '{}' is being deleted: {}",
                                                                   source.backup->id, source.backup->removal_reason))
        .with_field("/recoverFrom/id", "is being deleted")
        .with_hint("choose another backup");
  }
  if (source.backup && source.backup->state == model::BackupState::kLost) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("the backup '{}' is lost: {}", source.backup->id, source.backup->error))
        .with_field("/recoverFrom/id", "is lost")
        .with_hint("choose another backup");
  }
  if (source.backup && !source.backup->stored_at) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("the backup '{}' is not in the store: it is {}", source.backup->id,
                                  model::to_text(source.backup->state)))
        .with_field("/recoverFrom/id", "is not a finished backup")
        .with_hint(source.backup->next_step.empty() ? "wait until it is confirmed, or choose another backup"
                                                    : source.backup->next_step);
  }
  if (!deps_.providers.of_kind(wanted.provider.kind).is_local()) return recover_remote(request, source, wanted);
  const auto elsewhere = named_place(request, source.service, wanted);
  const auto places = places_of(source, elsewhere);
  if (places.empty()) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("the service '{}' never had a backup", source.service.name))
        .with_hint("turn backups on for a service before its data is needed");
  }
  try {
    return plan_at(request, source, choose_place(deps_.providers, places, request.time), wanted);
  } catch (const core::Error& error) {
    throw elsewhere && error.fields().empty() ? at_place(error, *elsewhere, "/recoverFrom") : error;
  }
}

std::optional<model::Destination> Admission::named_place(const RecoverRequest& request, const model::Service& source,
                                                         const model::Service& wanted) {
  if (request.config.contains("destinationId")) {
    return resolve_destination(source.team_id, request.config, {}, "/recoverFrom").destination;
  }
  if (request.config.empty() && request.secrets.empty()) return std::nullopt;
  const auto catalogue = deps_.providers.catalogue();
  const auto& offer = catalogue->require(wanted.provider.name, wanted.provider.version);
  model::check_backup_store(offer, request.config, request.secrets, "/recoverFrom");
  auto place = check_store(request.config, request.secrets, "/recoverFrom");
  const auto known = deps_.database.read(
      [&](auto& tx) { return metadata::Destinations(tx).find_place(source.team_id, place.url, place.endpoint_url); });
  // The place where the source's archive grows, as a client names it.
  const bool same_keys = known && known->access_key.reveal() == place.access_key.reveal() &&
                         known->secret_key.reveal() == place.secret_key.reveal() && known->region == place.region;
  if (same_keys) place.id = known->id;
  return place;
}

std::vector<RecoveryPlace> Admission::places_of(const Source& source,
                                                const std::optional<model::Destination>& elsewhere) {
  return deps_.database.read([&](auto& tx) {
    if (!source.backup) return recovery_places(tx, source.service, elsewhere);
    return std::vector{place_of_backup(tx, source.service, *source.backup, elsewhere)};
  });
}

AdmittedRecovery Admission::plan_at(const RecoverRequest& request, const Source& source, const RecoveryPlace& place,
                                    const model::Service& wanted) {
  RecoveryQuestion question;
  question.source = source.service;
  question.instances = {place.body.instance};
  question.backup_id = request.backup_id;
  question.time = request.time;
  question.logical = source.backup && source.backup->mechanism == model::BackupMechanism::kLogical;
  question.keep_logins = request.keep_logins;
  question.from = *place.body.backups;
  auto admitted = plan(request, question, wanted);
  const bool is_old = place.body.instance.id != source.service.status.instance_id;
  if (is_old && !request.backup_id && !request.time && !source.service.deleted_at) {
    admitted.plan.forecast["warnings"].as_array().emplace_back(
        "what the service holds now has no backup yet: this is the last state before it was brought back");
  }
  return admitted;
}

AdmittedRecovery Admission::recover_remote(const RecoverRequest& request, const Source& source,
                                           const model::Service& wanted) {
  RecoveryQuestion question;
  question.source = source.service;
  question.backup_id = request.backup_id;
  question.time = request.time;
  question.config = request.config;
  question.secrets = request.secrets;
  if (request.config.empty() && request.secrets.empty()) {
    question.config = source.service.backups.config;
    question.secrets = source.service.backups.secrets;
  }
  const auto catalogue = deps_.providers.catalogue();
  const auto& offer = catalogue->require(wanted.provider.name, wanted.provider.version);
  model::check_backup_store(offer, question.config, question.secrets, "/recoverFrom");
  if (!source.backup && !source.service.backups.enabled_at) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("the service '{}' never had a backup", source.service.name))
        .with_hint("turn backups on for a service before its data is needed");
  }
  return plan(request, question, wanted);
}

AdmittedRecovery Admission::plan(const RecoverRequest& request, const RecoveryQuestion& question,
                                 const model::Service& wanted) {
  AdmittedRecovery admitted;
  admitted.plan = deps_.providers.of_kind(wanted.provider.kind).plan_recovery(question, wanted);
  warn(admitted.plan, wanted);
  admitted.from = question.from;
  if (request.backup_id) {
    admitted.recovered_from = {{"backupId", *request.backup_id}, {"serviceId", question.source.id}};
  } else {
    admitted.recovered_from = {{"serviceId", question.source.id}};
    if (request.time) admitted.recovered_from["time"] = core::format_time(*request.time);
  }
  return admitted;
}

void Admission::warn(RecoveryPlan& plan, const model::Service& wanted) {
  auto& warnings = plan.forecast["warnings"];
  if (!warnings.is_array()) warnings.emplace_array();
  const auto* base = plan.forecast.if_contains("backup");
  const auto id = base == nullptr ? std::nullopt : core::find_string(base->as_object(), "id");
  const auto backup =
      id ? deps_.database.read([&](auto& tx) { return metadata::Backups(tx).find(*id); }) : std::nullopt;
  if (backup && !backup->confirmed_at) {
    warnings.as_array().emplace_back(
        fmt::format("the backup '{}' was never read back from the store in full", backup->id));
  }
  if (!wanted.backups.enabled) {
    warnings.as_array().emplace_back("the new service has no backups: what is written to it cannot be recovered");
  }
}

}  // namespace backstay::control
