// An import as an operation: what has to be fetched is fetched into the spool, then the dump is loaded. What the next
// attempt must know not to load it twice stands in the operation itself.
#include <fmt/format.h>

#include "control/body_loader.h"
#include "control/operation_queue.h"
#include "control/operation_work.h"
#include "control/service_operations.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

std::string spooled_of(const model::Operation& operation) {
  if (operation.request.contains("path")) return {};
  return core::find_string(operation.request, "spooled").value_or(operation.id);
}

void write_backup(const WorkDependencies& deps, StepContext& context, const std::string& backup_id, SpoolFile& into) {
  model::Backup backup;
  model::Service source;
  model::Instance instance;
  BackupTarget at;
  deps.database.read([&](auto& tx) {
    backup = metadata::Backups(tx).require(backup_id);
    source = metadata::Services(tx).require(backup.service_id);
    instance = metadata::Instances(tx).require(backup.instance_id);
    at = load_target(tx, backup.destination_id, backup.team_id);
    return true;
  });
  std::uint64_t done = 0;
  deps.providers.of_kind(source.provider.kind)
      .write_dump(
          instance, at, backup,
          [&](std::string_view text) {
            into.write(text);
            done += text.size();
            context.progress("fetch", done, 0);
          },
          context.stop());
}

void fetch(const WorkDependencies& deps, StepContext& context) {
  const auto& operation = context.operation();
  const auto url = operation.secrets.find("url");
  const auto backup = core::find_string(operation.request, "backupId");
  const auto object = core::find_string(operation.request, "object");
  const bool lies_elsewhere = url != operation.secrets.end() || backup || object;
  if (!lies_elsewhere || deps.spool->contains(operation.id)) return;
  const auto file = deps.spool->open(std::nullopt);
  const auto progress = [&](std::uint64_t done, std::uint64_t total) { context.progress("fetch", done, total); };
  if (backup) {
    write_backup(deps, context, *backup, *file);
  } else if (object) {
    const auto at = deps.database.read([&](auto& tx) {
      return metadata::Destinations(tx).require(core::require_string(operation.request, "destinationId"));
    });
    deps.spool->fetch_object(at, *object, *file, progress, context.stop());
  } else {
    deps.spool->fetch(url->second.reveal(), *file, progress, context.stop());
  }
  file->keep(operation.id);
}

/// The service as the import was asked for: its data may have been switched or removed since.
ServiceBody body_for_import(const WorkDependencies& deps, const model::Operation& operation) {
  auto body = body_of(deps, operation);
  const auto& service = body.service;
  const bool same = service.status.instance_id == body.instance.id;
  if (same && !service.delete_requested_at && !service.pause) return body;
  throw core::Error(core::Code::kConflict,
                    same ? "the service is paused or being deleted by now" : "the service has other data by now");
}

/// Read again: an earlier attempt of this very run may have written it.
std::string mark_of(const WorkDependencies& deps, const std::string& operation_id) {
  return deps.database.read([&](auto& tx) {
    const auto operation = metadata::Operations(tx).require(operation_id);
    return core::find_string(operation.request, "mark").value_or("");
  });
}

void note_mark(const WorkDependencies& deps, const std::string& operation_id, const std::string& mark) {
  deps.database.write([&](auto& tx) {
    auto request = metadata::Operations(tx).require(operation_id).request;
    request["mark"] = mark;
    metadata::Operations(tx).change_request(operation_id, request, deps.clock.now());
    return true;
  });
}

std::string in_words(const core::json::object& result) {
  if (result.contains("loadedBefore")) {
    return "the dump is in the database: it was taken in right before the server ended, and not a second time";
  }
  std::string text = fmt::format("a dump in {} form was taken in: {} statements",
                                 core::require_string(result, "format"), core::require_int(result, "statements"));
  const auto* left_out = core::find_object(result, "leftOut");
  const auto ownership = left_out == nullptr ? 0 : core::find_int(*left_out, "ownership").value_or(0);
  if (ownership > 0) {
    text +=
        fmt::format("; {} about owners and privileges were left out, as all belongs to the service's role", ownership);
  }
  return text;
}

void load(const WorkDependencies& deps, StepContext& context) {
  const auto operation = context.operation();
  const auto body = body_for_import(deps, operation);
  const ImportTask task{.id = operation.id,
                        .spooled = spooled_of(operation),
                        .path = core::find_string(operation.request, "path").value_or(""),
                        .format = core::find_string(operation.request, "format").value_or(""),
                        .mark = mark_of(deps, operation.id),
                        .note = [&](const std::string& mark) { note_mark(deps, operation.id, mark); }};
  auto result = provider_of(deps, body).import_dump(body, task, context);
  context.event(events::kImportFinished, in_words(result));
  context.result() = std::move(result);
  context.result()["serviceId"] = body.service.id;
  if (!task.spooled.empty()) deps.spool->remove(task.spooled);
}

/// What could not be found out is not said.
std::string meaning_of(const core::Error& error) {
  if (error.code() != core::Code::kDatabaseUnavailable) return "nothing of the dump is in the database";
  return "look whether it is in the database before it is imported again: the server could not be asked";
}

}  // namespace

OperationKind import_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.steps = {{"fetch", [deps](StepContext& context) { fetch(deps, context); }},
                {"load", [deps](StepContext& context) { load(deps, context); }}};
  kind.undo = [deps](StepContext& context) {
    if (const auto spooled = spooled_of(context.operation()); !spooled.empty()) deps.spool->remove(spooled);
  };
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    const auto service = metadata::Services(tx).find(operation.service_id);
    if (!service) return;  // deleted meanwhile
    deps.events.record(tx, *service, events::kImportFailed,
                       fmt::format("the import failed: {}; {}; {}", error.message(), meaning_of(error), error.hint()),
                       {{"operation.id", operation.id}});
  };
  kind.on_cancelled = [deps](auto& tx, const auto& operation) {
    note_cancelled({deps.events, deps.clock}, tx, operation);
  };
  return kind;
}

}  // namespace backstay::control
