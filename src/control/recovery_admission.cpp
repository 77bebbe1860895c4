// A recovery is judged before anything is written: what it comes from, and whether the state can be reached.
#include "control/admission.h"
#include "control/body_loader.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

[[noreturn]] void refuse(std::string pointer, std::string message) {
  throw core::Error(core::Code::kInvalidArgument, message).with_field(std::move(pointer), message);
}

}  // namespace

struct Admission::Source {
  model::Service service;
  std::vector<model::Instance> instances;
  std::string destination_id;
  std::optional<model::Backup> backup;
};

Admission::Source Admission::find_source(const RecoverRequest& request, const Principal& principal) {
  if (request.backup_id.has_value() == request.service_id.has_value()) {
    refuse("/recoverFrom", "needs either 'id' (of a backup) or 'msId' with 'time'");
  }
  if (request.backup_id && request.time) refuse("/recoverFrom/time", "goes with 'msId', not with the 'id' of a backup");
  return deps_.database.read([&](auto& tx) {
    Source source;
    if (request.backup_id) {
      source.backup = metadata::Backups(tx).find(*request.backup_id);
      if (!source.backup || !principal.sees_team(source.backup->team_id)) {
        refuse("/recoverFrom/id", fmt::format("there is no backup '{}'", *request.backup_id));
      }
    }
    const auto& service_id = source.backup ? source.backup->service_id : *request.service_id;
    const auto service = metadata::Services(tx).find(service_id);
    if (!service || !principal.sees_team(service->team_id)) {
      refuse("/recoverFrom/msId", fmt::format("there is no service '{}'", service_id));
    }
    source.service = *service;
    source.instances = metadata::Instances(tx).list_of_service(service_id);
    std::reverse(source.instances.begin(), source.instances.end());
    if (source.backup) {
      std::erase_if(source.instances, [&](const auto& it) { return it.id != source.backup->instance_id; });
      source.destination_id = source.backup->destination_id;
    } else {
      std::erase_if(source.instances, [](const auto& it) { return it.destination_id.empty(); });
      if (!source.instances.empty()) source.destination_id = source.instances.front().destination_id;
    }
    return source;
  });
}

AdmittedRecovery Admission::recover(const RecoverRequest& request, const model::Service& wanted,
                                    const Principal& principal) {
  const auto source = find_source(request, principal);
  if (source.service.provider.kind != wanted.provider.kind) {
    refuse("/provider/name", fmt::format("the source is a service of '{}'", source.service.provider.name));
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
  if (source.instances.empty() || source.destination_id.empty()) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("the service '{}' never had a backup", source.service.name))
        .with_hint("turn backups on for a service before its data is needed");
  }

  RecoveryQuestion question;
  question.source = source.service;
  question.instances = source.instances;
  question.backup_id = request.backup_id;
  question.time = request.time;
  question.keep_logins = request.keep_logins;
  question.from =
      deps_.database.read([&](auto& tx) { return load_target(tx, source.destination_id, source.service.team_id); });
  if (request.config.contains("destinationId")) {
    question.from.destination =
        resolve_destination(source.service.team_id, request.config, {}, "/recoverFrom").destination;
  } else if (!request.config.empty() || !request.secrets.empty()) {
    const auto catalogue = deps_.providers.catalogue();
    const auto& offer = catalogue->require(wanted.provider.name, wanted.provider.version);
    model::check_backup_store(offer, request.config, request.secrets, "/recoverFrom");
    question.from.destination = check_store(request.config, request.secrets, "/recoverFrom");
    try {
      return plan(request, question, wanted);
    } catch (const core::Error& error) {
      throw error.fields().empty() ? at_place(error, question.from.destination, "/recoverFrom") : error;
    }
  }
  return plan(request, question, wanted);
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
  admitted.from = question.from;
  if (request.backup_id) {
    admitted.recovered_from = {{"backupId", *request.backup_id}, {"serviceId", question.source.id}};
  } else {
    admitted.recovered_from = {{"serviceId", question.source.id}};
    if (request.time) admitted.recovered_from["time"] = core::format_time(*request.time);
  }
  return admitted;
}

}  // namespace backstay::control
