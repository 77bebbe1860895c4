#include "control/import_commands.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "control/body_loader.h"
#include "control/idempotency.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/settings.h"
#include "model/team.h"

namespace backstay::control {
namespace {

constexpr auto kAbandonedAfter = std::chrono::hours(24);
constexpr std::array<std::string_view, 4> kFormats{"plain", "custom", "tar", "directory"};

core::Error conflict(const model::Service& service, const std::string& why) {
  return {core::Code::kConflict, fmt::format("the service '{}' {}", service.name, why)};
}

void require_no_other_work(metadata::Transaction& tx, const model::Service& service) {
  metadata::OperationFilter open;
  open.service_id = service.id;
  open.open_only = true;
  for (const auto& operation : metadata::Operations(tx).list(open)) {
    if (operation.kind != kinds::kImport) continue;  // of other work the service's state tells
    throw conflict(service, "takes in another dump").with_hint("wait for the end of the operation " + operation.id);
  }
  require_no_switch(tx, service);
}

void check_format(const std::optional<std::string>& format) {
  if (!format || std::ranges::find(kFormats, *format) != kFormats.end()) return;
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is no format of a dump", *format))
      .with_field("/format", "must be plain, custom, tar or directory");
}

[[noreturn]] void refuse_backup(const std::string& why) {
  throw core::Error(core::Code::kInvalidArgument, "the backup " + why).with_field("/backupId", why);
}

}  // namespace

void ImportCommands::require_importable(metadata::Transaction& tx, const std::string& service_id,
                                        const Principal& principal) {
  const auto service = metadata::Services(tx).find(service_id);
  if (!service || !principal.sees_team(service->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no service '{}'", service_id));
  }
  if (service->delete_requested_at || service->deleted_at) throw conflict(*service, "is being deleted");
  require_no_other_work(tx, *service);
  if (service->pause || service->status.state == model::ServiceState::kPaused) {
    throw conflict(*service, "is paused").with_hint("resume it (PATCH with pause false)");
  }
  const auto instance = metadata::Instances(tx).find(service->status.instance_id);
  if (!instance || service->status.state != model::ServiceState::kSynchronized) {
    throw conflict(*service, fmt::format("is {}", model::to_text(service->status.state)))
        .with_hint("wait until it is synchronized");
  }
  if (metadata::Settings(tx).get(storage_level_key(instance->id)) == kStorageFull) {
    throw conflict(*service, "uses all the storage of its plan").with_hint("choose a plan with more storage first");
  }
  if (const auto problem = deps_.providers.of_kind(service->provider.kind).import_problem(*instance)) {
    throw core::Error(core::Code::kNotSupported, "dumps cannot be imported into this service: " + *problem);
  }
}

/// The operator's places hold what belongs to others.
void ImportCommands::require_own_destination(const std::string& service_id, const std::string& id) {
  const bool is_own = deps_.database.read([&](auto& tx) {
    const auto destination = metadata::Destinations(tx).find(id);
    return destination && destination->team_id == metadata::Services(tx).require(service_id).team_id;
  });
  if (is_own) return;
  throw core::Error(core::Code::kInvalidArgument, fmt::format("the team has no destination '{}' of its own", id))
      .with_field("/destinationId", "names no destination of the service's team");
}

void ImportCommands::require_own_backup(const std::string& service_id, const std::string& backup_id,
                                        const Principal& principal) {
  deps_.database.read([&](auto& tx) {
    const auto service = metadata::Services(tx).find(service_id);
    const auto backup = metadata::Backups(tx).find(backup_id);
    if (!backup || !principal.sees_team(backup->team_id)) {
      refuse_backup(fmt::format("'{}' does not exist", backup_id));
    }
    if (service && service->team_id != backup->team_id) refuse_backup("is another team's");
    if (backup->mechanism != model::BackupMechanism::kLogical) {
      refuse_backup("is physical: recover it into a service, and import a logical one");
    }
    const bool goes = backup->state == model::BackupState::kDeleting || backup->state == model::BackupState::kDeleted;
    if (!backup->stored_at || goes) refuse_backup("is not in the store");
    const auto source = metadata::Services(tx).require(backup->service_id);
    const auto instance = metadata::Instances(tx).require(backup->instance_id);
    const auto problem = deps_.providers.of_kind(source.provider.kind).logical_problem(instance, DumpWork::kRead);
    if (problem) refuse_backup("cannot be read here: " + *problem);
    return true;
  });
}

model::Operation ImportCommands::import_dump(const std::string& service_id, const ImportRequest& request,
                                             const Principal& principal) {
  require_scope(principal, model::kScopeServicesWrite);
  const int sources = int{request.path.has_value()} + int{request.url.has_value()} + int{request.backup_id.has_value()};
  if (sources != 1) {
    throw core::Error(core::Code::kInvalidArgument, "an import is from one of path, url and backupId")
        .with_field("", "needs exactly one of path, url and backupId");
  }
  check_format(request.format);
  deps_.database.read([&](auto& tx) {
    require_importable(tx, service_id, principal);
    return true;
  });
  core::json::object work;
  model::Secrets secrets;
  if (request.destination_id) {
    if (!request.path) {
      throw core::Error(core::Code::kInvalidArgument, "an import from a destination names the object there")
          .with_field("/path", "is required: the object below the destination's prefix");
    }
    require_own_destination(service_id, *request.destination_id);
    work["destinationId"] = *request.destination_id;
    work["object"] = *request.path;
  } else if (request.path) {
    deps_.spool.check_path(*request.path);
    work["path"] = *request.path;
  }
  if (request.url) {
    deps_.spool.check_url(*request.url);
    secrets["url"] = core::Secret(*request.url);  // it may hold a signature
  }
  if (request.backup_id) {
    require_scope(principal, model::kScopeBackupsRecover);
    require_own_backup(service_id, *request.backup_id, principal);
    work["backupId"] = *request.backup_id;
  }
  if (request.format) work["format"] = *request.format;
  return enqueue(service_id, std::move(work), std::move(secrets), principal);
}

std::unique_ptr<SpoolFile> ImportCommands::begin_upload(const std::string& service_id,
                                                        const std::optional<std::string>& format,
                                                        std::optional<std::uint64_t> length,
                                                        const Principal& principal) {
  require_scope(principal, model::kScopeServicesWrite);
  check_format(format);
  deps_.database.read([&](auto& tx) {
    require_importable(tx, service_id, principal);
    return true;
  });
  clear_spool(deps_.database, deps_.spool, deps_.clock.now(), true);
  return deps_.spool.open(length);
}

model::Operation ImportCommands::import_upload(const std::string& service_id, std::unique_ptr<SpoolFile> dump,
                                               const std::optional<std::string>& format, const Principal& principal) {
  check_format(format);
  const std::string name = deps_.random.uuid();
  dump->keep(name);
  core::json::object work{{"spooled", name}};
  if (format) work["format"] = *format;
  try {
    return enqueue(service_id, std::move(work), {}, principal);
  } catch (...) {
    deps_.spool.remove(name);
    throw;
  }
}

model::Operation ImportCommands::enqueue(const std::string& service_id, core::json::object request,
                                         model::Secrets secrets, const Principal& principal) {
  auto operation = deps_.database.write([&](auto& tx) {
    // As it is now, not as it was when the dump began to come.
    require_importable(tx, service_id, principal);
    const auto service = metadata::Services(tx).require(service_id);
    NewOperation work;
    work.kind = kinds::kImport;
    work.team_id = service.team_id;
    work.service_id = service.id;
    work.request = std::move(request);
    work.request["instanceId"] = service.status.instance_id;
    work.secrets = std::move(secrets);
    auto entered = deps_.operations.enqueue(tx, work);
    take_effect(tx, principal, entered.id);
    events_.record(tx, service, events::kImportStarted, "a dump is being taken into the service",
                   {{"operation.id", entered.id}});
    return entered;
  });
  deps_.operations.ring();
  return operation;
}

void clear_spool(metadata::Database& database, DumpSpool& spool, core::Timestamp now, bool shared) {
  // The files first: what comes later is of operations that come later.
  const auto dumps = spool.list();
  if (dumps.empty()) return;
  metadata::OperationFilter open;
  open.kind = kinds::kImport;
  open.open_only = true;
  std::set<std::string> needed;
  for (const auto& operation : database.read([&](auto& tx) { return metadata::Operations(tx).list(open); })) {
    needed.insert(operation.id);
    if (const auto spooled = core::find_string(operation.request, "spooled")) needed.insert(*spooled);
  }
  for (const auto& dump : dumps) {
    if (needed.contains(dump.name) || (shared && now - dump.written_at < kAbandonedAfter)) continue;
    spool.remove(dump.name);
  }
}

}  // namespace backstay::control
