// The part of ServiceCommands that recovers a service into one like it: a service of its own, a candidate that may take
// its place, or one that does so as soon as it is ready.
#include "control/recovery_places.h"
#include "control/service_commands.h"
#include "control/service_operations.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

/// "20261121-130405"
std::string compact(core::Timestamp time) {
  const auto text = core::format_time(time);
  return text.substr(0, 4) + text.substr(5, 2) + text.substr(8, 2) + "-" + text.substr(11, 2) + text.substr(14, 2) +
         text.substr(17, 2);
}

/// Of the names that nobody has, the shortest.
std::string free_name(metadata::Transaction& tx, const model::Service& original, std::size_t longest,
                      core::Timestamp now) {
  const auto ending = "-restored-" + compact(now);
  for (int number = 1;; ++number) {
    const auto end = number == 1 ? ending : fmt::format("{}-{}", ending, number);
    auto name = original.name.substr(0, longest - end.size());
    name.erase(name.find_last_not_of('-') + 1);
    name += end;
    // One that is being deleted has its name to the end.
    const metadata::ServiceFilter same{
        .team_ids = std::vector{original.team_id}, .include_deleted = true, .name = name};
    if (metadata::Services(tx).list(same).empty()) return name;
  }
}

/// What the original would be asked for with now.
CreateServiceRequest request_like(const model::Service& original) {
  CreateServiceRequest request;
  request.team_id = original.team_id;
  request.provider = {original.provider.name, original.provider.version};
  request.plan.id = original.plan.id;
  for (const auto& [name, value] : original.plan.parameters) request.plan.parameters[name] = value;
  request.config = original.config;
  request.secrets = original.secrets;
  if (!original.app_version.empty()) request.app_version = original.app_version;
  if (!original.backups.enabled) return request;
  auto& backups = request.backups.emplace();
  backups.enabled = true;
  backups.interval_hours = original.backups.interval_h;
  backups.retention_days = original.backups.retention_days;
  if (original.backups.destination_id.empty()) {
    backups.config = original.backups.config;
    backups.secrets = original.backups.secrets;
  } else {
    backups.destination_id = original.backups.destination_id;
  }
  return request;
}

/// As this request names what the one that it becomes has below /recoverFrom.
core::Error in_words_of_request(const core::Error& error) {
  static const std::map<std::string, std::string, std::less<>> fields{
      {"/recoverFrom/id", "/backupId"}, {"/recoverFrom/msId", "/serviceId"}, {"/recoverFrom/time", "/time"}};
  core::Error renamed(error.code(), error.message());
  renamed.with_hint(error.hint());
  for (const auto& [pointer, message] : error.fields()) {
    const auto field = fields.find(pointer);
    renamed.with_field(field == fields.end() ? pointer : field->second, message);
  }
  return renamed;
}

[[noreturn]] void refuse(std::string pointer, const std::string& message) {
  throw core::Error(core::Code::kInvalidArgument, message).with_field(std::move(pointer), message);
}

/// Whose past state is asked for.
model::Service find_original(metadata::Transaction& tx, const RecoverServiceRequest& request,
                             const Principal& principal) {
  std::optional<std::string> id = request.service_id;
  if (!id && !request.backup_id) refuse("/serviceId", "needs 'serviceId' or 'backupId'");
  if (request.backup_id) {
    const auto backup = metadata::Backups(tx).find(*request.backup_id);
    if (!backup || !principal.sees_team(backup->team_id) || (id && backup->service_id != *id)) {
      refuse("/backupId", fmt::format("there is no backup '{}'", *request.backup_id));
    }
    id = backup->service_id;
  }
  auto service = metadata::Services(tx).find(*id);
  if (!service || !principal.sees_team(service->team_id)) {
    refuse("/serviceId", fmt::format("there is no service '{}'", *id));
  }
  return std::move(*service);
}

model::Service find_target(metadata::Transaction& tx, const std::string& id, const model::Service& recovered) {
  auto target = metadata::Services(tx).find(id);
  if (!target || target->team_id != recovered.team_id) {
    refuse("/targetId", fmt::format("there is no service '{}' in the team of the backup", id));
  }
  return std::move(*target);
}

/// A logical backup is one database's; roles are not in it.
bool holds_logins(metadata::Transaction& tx, const RecoverServiceRequest& request) {
  if (!request.backup_id) return true;
  const auto backup = metadata::Backups(tx).find(*request.backup_id);
  return backup && backup->mechanism == model::BackupMechanism::kPhysical;
}

void require_replaceable(metadata::Transaction& tx, const model::Service& original, RecoverInto into,
                         const ProviderRegistry& providers) {
  if (!providers.of_kind(original.provider.kind).is_local()) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("services of '{}' cannot be switched over: their backend runs them, and the adapter "
                                  "contract knows no way to exchange their data",
                                  original.provider.name))
        .with_hint("recover into a new service");
  }
  const auto conflict = [&](std::string_view why) {
    return core::Error(core::Code::kConflict,
                       fmt::format("nothing can take the place of the service '{}': {}", original.name, why));
  };
  if (original.delete_requested_at) throw conflict("it is deleted").with_hint("undelete it, or recover into a new one");
  if (!original.candidate_of.empty()) throw conflict("it is a candidate itself").with_hint("switch to it first");
  if (into != RecoverInto::kInPlace) return;
  if (original.pause) throw conflict("it is paused").with_hint("resume it (PATCH with pause false) first");
  require_no_switch(tx, original);
}

}  // namespace

ServiceChange ServiceCommands::recover_service(const RecoverServiceRequest& request, const Principal& principal,
                                               Effect effect) {
  require_scope(principal, model::kScopeBackupsRecover);
  if (request.into == RecoverInto::kInPlace) require_recover_in_place(principal);
  const bool replaces = request.into != RecoverInto::kNew;
  CreateServiceRequest wanted;
  Making making;
  deps_.database.read([&](auto& tx) {
    const auto recovered = find_original(tx, request, principal);
    const auto original = request.target_id ? find_target(tx, *request.target_id, recovered) : recovered;
    if (replaces) {
      require_replaceable(tx, original, request.into, deps_.providers);
      making.candidate_of = original.id;
    }
    wanted = request_like(original);
    wanted.name = request.name ? *request.name : free_name(tx, original, request.longest_name, deps_.clock.now());
    wanted.labels = request.labels;
    auto& from = wanted.recover_from.emplace();
    from.backup_id = request.backup_id;
    if (!request.backup_id) from.service_id = recovered.id;
    from.time = request.time;
    // Those of another service are nobody's here.
    from.keep_logins =
        request.keep_logins.value_or(replaces && original.id == recovered.id && holds_logins(tx, request));
  });
  making.then_switch = request.into == RecoverInto::kInPlace;
  try {
    return make_service(wanted, making, principal, effect);
  } catch (const core::Error& error) {
    throw in_words_of_request(error);
  }
}

}  // namespace backstay::control
